"""Training a detector: what is logged of its tests."""

import logging
import shutil

import pytest
from paths import FIXTURES

from pycaffe_lite.errors import SolverError
from pycaffe_lite.solver import get_solver

# What SSD's fork logged of the first test.
LINES = [
    "class1: 0.049649",
    "class2: 0.00534759",
    "class3: 0",
    "    Test net output #0: detection_eval = 0.0183322",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("annotated", "ssd_train"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / "ssd_train")
    return tmp_path / "ssd_train"


def first_log(caplog, solver):
    solver.net.copy_from("init.caffemodel")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        solver.test_all()
    return [m for m in caplog.messages if "class" in m or "Test net output" in m]


def test_logged_as_by_the_fork(folder, caplog):
    solver = get_solver("solver_11point.prototxt")
    assert first_log(caplog, solver) == LINES
    assert [(s.name, round(s.value, 6)) for s in solver.last_test_scores[0]] == [("detection_eval", 0.018332)]
    solver.step(2)
    assert float(solver.net.blobs["mbox_loss"].data) < 12.7822


def test_without_classes(folder, caplog):
    text = (folder / "solver_11point.prototxt").read_text()
    (folder / "other.prototxt").write_text(text.replace("show_per_class_result: true", ""))
    assert first_log(caplog, get_solver("other.prototxt")) == LINES[3:]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("detection", "boxes", "unknown eval_type 'boxes' (known: classification, detection)"),
        ("11point", "12point", "unknown ap_version '12point' (known: 11point, MaxIntegral, Integral)"),
    ],
)
def test_unknown_values(folder, old, new, says):
    text = (folder / "solver_11point.prototxt").read_text()
    (folder / "other.prototxt").write_text(text.replace(f'"{old}"', f'"{new}"'))
    with pytest.raises(SolverError) as raised:
        get_solver("other.prototxt")
    assert str(raised.value).endswith(says)

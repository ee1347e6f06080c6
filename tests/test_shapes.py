"""models/shapes: from drawn pictures to a net that trains, by the commands of its README."""

import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from paths import ROOT

from pycaffe_lite.cli import main
from pycaffe_lite.net.net import Net

SHAPES = ROOT / "models" / "shapes"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for file in SHAPES.iterdir():
        if file.suffix in (".py", ".prototxt", ".md"):
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command):
    with pytest.raises(SystemExit) as ending:
        main(command.split(), prog_name="pycaffe-lite")
    assert ending.value.code == 0


def test_commands_of_the_readme(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["draw.py"])
    runpy.run_path("draw.py", run_name="__main__")
    assert len(list(Path("pictures").iterdir())) == 500
    page = Path("README.md").read_text().replace("\\\n", "")
    commands = re.findall(r"^pycaffe-lite (.+)$", page, re.MULTILINE)
    assert [command.split()[0] for command in commands] == [
        "convert-imageset",
        "convert-imageset",
        "compute-image-mean",
        "train",
        "deploy",
        "classify",
    ]
    for command in commands[:3]:
        run(command)
    assert "train_lmdb: 400 records" in capsys.readouterr().out
    net = Net("shapes_train_test.prototxt", 0)
    losses = [float(net.forward()["loss"]) for _ in range(2)]
    assert all(0.5 < loss < 3 for loss in losses)
    assert net.blobs["data"].shape == (50, 3, 28, 28)
    net.save("shapes_solver_iter_600.caffemodel")
    for command in commands[4:]:
        run(command)
    assert "pictures/circle_000.jpg" in capsys.readouterr().out

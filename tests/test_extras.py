"""The command that installs what an extra needs."""

import importlib.metadata
import re
import shlex
import sys

from paths import ROOT

from pycaffe_lite import extras


def test_in_a_checkout():
    assert extras.missing("drawing", "matplotlib", "plot") == (
        f"drawing needs matplotlib, which is not installed; in {ROOT}, run: "
        f"{shlex.quote(sys.executable)} -m pip install -e '.[plot]'"
    )


def test_installed_from_one(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "pycaffe_lite" / "extras.py"))
    monkeypatch.setattr(sys, "executable", "/my python")
    assert extras.missing("drawing", "matplotlib", "plot") == (
        "drawing needs matplotlib, which is not installed; in the folder of pycaffe-lite's source, run: "
        "'/my python' -m pip install '.[plot]'"
    )


def test_every_extra_that_is_named_exists():
    known = importlib.metadata.requires("pycaffe-lite")
    sources = (path.read_text() for path in (ROOT / "pycaffe_lite").rglob("*.py"))
    named = {name for text in sources for name in re.findall(r'missing\(.*, "(\w+)", "(\w+)"\)', text)}
    assert {extra for _, extra in named} >= {"hdf5", "image", "plot", "tensorboard"}
    for package, extra in named:
        assert any(r.lower().startswith(package.lower()) and f'extra == "{extra}"' in r for r in known)

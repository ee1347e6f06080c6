"""`python -m pycaffe_lite` with a script."""

import json
import sys

import pytest

from pycaffe_lite.__main__ import main
from pycaffe_lite.alias import is_installed_as_caffe, uninstall_as_caffe

SCRIPT = """
import sys
import caffe
from caffe.proto import caffe_pb2
import beside
record = [__name__, sys.argv, caffe.__name__, caffe_pb2.NetParameter.DESCRIPTOR.full_name, sys.path[0]]
beside.keep(record)
"""

BESIDE = """
import json, pathlib
def keep(record):
    pathlib.Path('record.json').write_text(json.dumps(record))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command with arguments in a folder where a script is."""
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "script.py").write_text(SCRIPT)
        (folder / "beside.py").write_text(BESIDE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])

    def run_with(*args):
        monkeypatch.delitem(sys.modules, "beside", raising=False)
        monkeypatch.setattr(sys, "argv", ["pycaffe_lite", *args])
        main()
        return json.loads((tmp_path / "record.json").read_text())

    yield run_with
    sys.modules.pop("beside", None)
    if is_installed_as_caffe():
        uninstall_as_caffe()


def test_a_script_finds_caffe(run, tmp_path):
    name, argv, module, message, first = run("sub/script.py", "--gpu", "0")
    assert (name, argv) == ("__main__", ["sub/script.py", "--gpu", "0"])
    assert (module, message) == ("pycaffe_lite", "caffe.NetParameter")
    assert first == str(tmp_path / "sub")


def test_a_module_finds_caffe(run, tmp_path):
    name, argv, module, _, first = run("-m", "script", "1")
    assert (name, argv[1:], module, first) == ("__main__", ["1"], "pycaffe_lite", str(tmp_path))


def test_a_real_caffe_is_taken_unless_asked(run, tmp_path):
    (tmp_path / "sub" / "caffe.py").write_text("from pycaffe_lite import proto\n")
    (tmp_path / "caffe.py").write_text("from pycaffe_lite import proto\n")
    assert run("--shadow-caffe", "script.py")[2] == "pycaffe_lite"
    uninstall_as_caffe()
    (tmp_path / "script.py").write_text("import beside, caffe\nbeside.keep(caffe.__file__)")
    try:
        assert run("script.py") == str(tmp_path / "caffe.py")
    finally:
        sys.modules.pop("caffe", None)


def test_a_script_that_there_is_not(run):
    with pytest.raises(SystemExit, match=r"^pycaffe_lite: there is no script none\.py$"):
        run("none.py")


def test_all_else_is_the_command_line(run, capsys):
    with pytest.raises(SystemExit) as exited:
        run("layers", "ReLU")
    assert exited.value.code == 0
    assert "negative_slope" in capsys.readouterr().out
    assert not is_installed_as_caffe()
    with pytest.raises(SystemExit):
        run("--shadow-caffe", "layers", "ReLU")
    assert "negative_slope" in capsys.readouterr().out
    assert is_installed_as_caffe()

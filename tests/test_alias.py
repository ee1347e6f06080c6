import importlib
import importlib.util
import logging
import subprocess
import sys

import pytest

import pycaffe_lite
from pycaffe_lite import alias
from pycaffe_lite.alias import find_real_caffe, install_as_caffe, is_installed_as_caffe, uninstall_as_caffe


@pytest.fixture(autouse=True)
def without_alias():
    assert not is_installed_as_caffe()
    yield
    if is_installed_as_caffe():
        uninstall_as_caffe()
    for name in [name for name in sys.modules if name.partition(".")[0] == "caffe"]:
        del sys.modules[name]


@pytest.fixture
def real_caffe(tmp_path, monkeypatch):
    """A package of this name, which stands for the real one."""
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").write_text("is_real = True")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "caffe"


def test_all_forms_of_import_give_the_same_modules():
    assert install_as_caffe()
    import caffe
    import caffe.io
    import caffe.proto.caffe_pb2 as pb2
    from caffe import layers as L
    from caffe import params as P
    from caffe.coord_map import coord_map_from_to
    from caffe.io import caffe_pb2 as of_io
    from caffe.proto import caffe_pb2

    assert caffe is pycaffe_lite
    assert importlib.util.find_spec("caffe") is not None  # as packages ask before they use it
    assert caffe.io is pycaffe_lite.io
    assert caffe_pb2 is pb2 is of_io is pycaffe_lite.proto.caffe_pb2
    assert (pycaffe_lite.layers, pycaffe_lite.params) == (L, P)
    assert coord_map_from_to is pycaffe_lite.coord_map.coord_map_from_to


def test_the_modules_keep_their_own_names():
    """Reloading and pickling go by these."""
    install_as_caffe()
    import caffe.io

    assert (caffe.__name__, caffe.io.__name__) == ("pycaffe_lite", "pycaffe_lite.io")
    assert (caffe.__spec__.name, caffe.io.__spec__.name) == ("pycaffe_lite", "pycaffe_lite.io")


@pytest.mark.parametrize("name", ["pycaffe", "_caffe", "net_spec", "classifier", "detector", "draw", "proto"])
def test_pycaffes_modules_are_there(name):
    install_as_caffe()
    module = importlib.import_module(f"caffe.{name}")
    assert module is sys.modules[f"pycaffe_lite.{name}"]
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public)


def test_what_there_is_not_is_an_import_error():
    install_as_caffe()
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'caffe\.nothing'"):
        importlib.import_module("caffe.nothing")


def test_a_second_call_changes_nothing():
    assert install_as_caffe()
    finders = list(sys.meta_path)
    assert install_as_caffe()
    assert sys.meta_path == finders


def test_the_real_one_is_not_shadowed(real_caffe, caplog):
    with caplog.at_level(logging.WARNING):
        assert not install_as_caffe()
    import caffe

    assert caffe.is_real
    assert str(real_caffe / "__init__.py") in caplog.text
    assert "install_as_caffe(shadow=True)" in caplog.text


@pytest.mark.parametrize("imported_before", [False, True])
def test_the_real_one_is_shadowed_if_asked(real_caffe, imported_before):
    if imported_before:
        importlib.import_module("caffe")
    assert install_as_caffe(shadow=True)
    import caffe

    assert caffe is pycaffe_lite
    uninstall_as_caffe()
    assert importlib.import_module("caffe").is_real


def test_this_package_under_that_name_is_not_the_real_one(monkeypatch):
    """As programs do it by hand."""
    monkeypatch.setitem(sys.modules, "caffe", pycaffe_lite)
    assert find_real_caffe() is None
    assert install_as_caffe()


def test_a_folder_that_is_no_package_is_not_the_real_one(tmp_path, monkeypatch):
    (tmp_path / "caffe").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_real_caffe() is None
    assert install_as_caffe()


def test_source_that_is_not_compiled_is_not_the_real_one(real_caffe):
    (real_caffe / "_caffe.cpp").touch()
    assert find_real_caffe() is None
    (real_caffe / f"_caffe{alias.EXTENSION_SUFFIXES[0]}").touch()
    assert find_real_caffe() == str(real_caffe / "__init__.py")


def test_importing_brings_no_package_that_only_some_need():
    """In a fresh process: here others have imported them."""
    names = ["PIL", "matplotlib", "skimage", "scipy", "pydot", "h5py"]
    code = f"import sys, pycaffe_lite; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

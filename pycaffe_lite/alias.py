"""Lets `import caffe` mean this package, for programs that cannot be changed."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType

from pycaffe_lite import glog

log = logging.getLogger(__name__)

_NAME = "caffe"
_PACKAGE = __name__.partition(".")[0]


class _AliasLoader(Loader):
    """Gives the module of this package that stands behind a name of Caffe's: the very same object."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the alias's in its place


class _AliasFinder(MetaPathFinder):
    """Finds `caffe` and all modules below it in this package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        first, dot, rest = fullname.partition(".")
        if first != _NAME:
            return None
        ours = _PACKAGE + dot + rest
        found = sys.modules.get(ours) or importlib.util.find_spec(ours)
        return ModuleSpec(fullname, _AliasLoader(ours)) if found else None


_finder = _AliasFinder()


def install_as_caffe(*, shadow: bool = False) -> bool:
    """Makes `import caffe`, `from caffe.proto import caffe_pb2` and the like give this package's modules.

    The modules are the same objects under both names. A second call changes nothing. Where the real Caffe is
    installed, `import caffe` goes on meaning it, and the log says so, unless `shadow` is set.

    Args:
        shadow: put this package in the place of an installed Caffe, also of one that is imported already.

    Returns:
        Whether `import caffe` gives this package now.
    """
    if is_installed_as_caffe():
        return True
    real = find_real_caffe()
    if real is not None and not shadow:
        glog.open_log()
        log.warning(
            "import caffe gives the Caffe that is installed at %s; to have pycaffe-lite in its place, call "
            "pycaffe_lite.install_as_caffe(shadow=True)",
            real,
        )
        return False
    _forget_modules()
    sys.meta_path.insert(0, _finder)
    return True


def uninstall_as_caffe() -> None:
    """Undoes `install_as_caffe`: `import caffe` means again what it meant without this package."""
    sys.meta_path.remove(_finder)
    _forget_modules()


def _forget_modules() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == _NAME]:
        del sys.modules[name]


def is_installed_as_caffe() -> bool:
    """Whether `import caffe` gives this package."""
    return _finder in sys.meta_path


def find_real_caffe() -> str | None:
    """Where the Caffe is that `import caffe` gives without this package; None where there is none.

    A folder of this name that is no package, and Caffe's source before it is compiled, are none.
    """
    if (module := sys.modules.get(_NAME)) is not None:
        is_ours = module is sys.modules[_PACKAGE]
        return None if is_ours else str(getattr(module, "__file__", None) or f"module {_NAME}")
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)  # finders of Python 2's days have none
        spec = find(_NAME, None) if find and finder is not _finder else None
        if spec is not None and spec.origin is not None:
            return None if _is_uncompiled(Path(spec.origin).parent) else spec.origin
    return None


def _is_uncompiled(folder: Path) -> bool:
    has_source = (folder / "_caffe.cpp").exists()
    return has_source and not any((folder / f"_caffe{suffix}").exists() for suffix in EXTENSION_SUFFIXES)

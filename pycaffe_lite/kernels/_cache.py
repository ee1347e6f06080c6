"""Compiled kernels on disk, so that a program starts in a second instead of half a minute.

Where: $PYCAFFE_LITE_CACHE_DIR, or pycaffe-lite/ in the user's cache folder; in it one folder per *build*,
named by a hash of everything that the machine code depends on: the source of all kernels (Numba's own
cache misses edits of a called function in another file), the versions of Python, NumPy, Numba and llvmlite,
the CPU and its features as Numba was told to compile for, and Numba's code generation switches. In the
folder one file per kernel and signature.

Files are written under a temporary name and renamed, so several processes can start at once; where nothing
can be written, kernels are compiled in memory; a damaged file is compiled anew.
"""

import hashlib
import logging
import os
import pickle
import platform
import sys
import threading
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

CACHE_VARIABLE = "PYCAFFE_LITE_CACHE_DIR"
ROOM = Path(__file__).parent
CODE_SWITCHES = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "ENABLE_PROFILING",
)

logger = logging.getLogger("pycaffe_lite.kernels")
_announce_lock = threading.Lock()
_announced = False


def cache_root() -> Path:
    """The folder that holds the compiled kernels of all builds."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pycaffe-lite"


def source_hash(room: Path = ROOM) -> str | None:
    """Hash of all Python files of a folder; None where they cannot be read (then nothing is cached)."""
    digest = hashlib.sha256()
    try:
        files = sorted(room.glob("*.py"))
        for file in files:
            digest.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest() if files else None


def build_hash(sources: str, target: tuple[str, ...]) -> str:
    """Hash of what machine code depends on. target: triple, CPU name and features that Numba compiles for."""
    python = (platform.python_version(), sys.implementation.cache_tag)
    versions = (*python, np.__version__, numba.__version__, llvmlite.__version__)
    switches = tuple(str(getattr(numba.config, name, None)) for name in CODE_SWITCHES)
    return hashlib.sha256(repr((sources, versions, switches, target)).encode()).hexdigest()[:24]


@lru_cache(maxsize=1)
def _sources() -> str | None:
    return source_hash()


class KernelCache(_Cache):  # type: ignore[misc]
    """Numba's cache interface for one kernel, a file per signature: <build>/<module>.<name>-<key>.nbc."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._options = repr(sorted(options.items()))
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_root())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing to do: a file is valid for good, or never looked for again."""

    def _file(self, sig: Any, target_context: Any) -> Path | None:
        sources = _sources()
        if not self._enabled or sources is None:
            return None
        build = build_hash(sources, target_context.codegen().magic_tuple())
        key = hashlib.sha256(f"{self._options} {sig}".encode()).hexdigest()[:16]
        try:
            return cache_root() / build / f"{self._name}-{key}.nbc"
        except RuntimeError:  # no home folder
            return None

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        target_context.refresh()
        file = self._file(sig, target_context)
        try:
            if file is not None:
                return CompileResult._rebuild(target_context, *pickle.loads(file.read_bytes()))
        except OSError:
            pass  # not compiled yet
        except Exception as error:
            logger.debug("compiled kernel %s cannot be used (%s: %s)", file, type(error).__name__, error)
        _announce_compilation()
        return None

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        file = self._file(sig, data.target_context)
        if file is None or data.library.has_dynamic_globals:
            return
        temporary = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(dumps(data._reduce()))
            temporary.replace(file)
        except OSError as error:
            logger.debug("compiled kernel not kept: %s", error)
            temporary.unlink(missing_ok=True)


def _announce_compilation() -> None:
    global _announced
    with _announce_lock:
        if not _announced:
            _announced = True
            logger.info("compiling kernels for this machine; done once, kept in %s", cache_root())

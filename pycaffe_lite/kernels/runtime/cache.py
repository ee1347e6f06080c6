"""Compiled kernels on disk, so that a program starts in a second instead of half a minute.

They are kept in $PYCAFFE_LITE_CACHE_DIR, or in pycaffe-lite/ in the user's cache folder. There is a folder
for each *build*, named by a hash of what all machine code depends on: the versions of Python, NumPy, Numba
and llvmlite, the CPU and the features that Numba compiles for, and Numba's code generation switches. It holds
a file for each kernel and signature, whose name contains a hash of what the kernel is made of
(`runtime.sources`). Numba's own cache would not notice that a function in another file has been edited.

Files are written under a temporary name and then renamed, so that several processes can start at once. If
nothing can be written, kernels are compiled in memory. A file begins with a hash of the rest, so that a
damaged one, which could end the process, is noticed and its kernel is compiled again.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import platform
import re
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from pycaffe_lite.kernels.runtime.sources import PACKAGE, function_hash

CACHE_VARIABLE = "PYCAFFE_LITE_CACHE_DIR"
# The least that a file of compiled code takes: a full disk may have room for a name, and for nothing else.
_TRIAL_BYTES = 1 << 14
DIGEST_BYTES = hashlib.sha256().digest_size
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
_announced = _said_not_kept = False


def cache_root() -> Path:
    """Return the folder that holds the compiled kernels of all builds."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pycaffe-lite"


def build_hash(target: tuple[str, ...]) -> str:
    """Return a hash of what all machine code depends on.

    target: the triple, CPU and features that Numba compiles for.
    """
    python = (platform.python_version(), sys.implementation.cache_tag)
    versions = (*python, np.__version__, numba.__version__, llvmlite.__version__)
    switches = tuple(str(getattr(numba.config, name, None)) for name in CODE_SWITCHES)
    return hashlib.sha256(repr((versions, switches, target)).encode()).hexdigest()[:24]


def _path(name: str, target: tuple[str, ...]) -> Path | None:
    try:
        return cache_root() / build_hash(target) / name
    except RuntimeError:  # no home folder
        return None


def load_file(name: str | None, target: tuple[str, ...]) -> bytes | None:
    """Return what is kept under a name for this build, or None; the first None is logged.

    name: None for code that cannot be told by what it is made of, and therefore is not kept.
    """
    path = None if name is None else _path(name, target)
    try:
        content = b"" if path is None else path.read_bytes()
    except OSError:
        content = b""  # not compiled yet
    digest, code = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if content and digest == hashlib.sha256(code).digest():
        return code
    if content:
        logger.debug("compiled code is damaged: %s", path)
    _announce_compilation(name, path)
    return None


def save_file(name: str | None, target: tuple[str, ...], content: bytes) -> None:
    """Write content to the file of a name, whole or not at all; log once if that is not possible."""
    path = None if name is None else _path(name, target)
    if path is None:
        return
    temporary = path.with_name(f"{name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        temporary.replace(path)
    except OSError as error:
        _say_not_kept(f"cannot write to '{path.parent}': {error.strerror}")
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class KernelCache(_Cache):  # type: ignore[misc]
    """Numba's cache interface for one kernel, with a file for each signature.

    A file is <build>/<module>.<name>-<key>.nbc. The module is the dotted name below `pycaffe_lite.kernels`.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        name = f"{function.__module__}.{function.__qualname__}".removeprefix(f"{PACKAGE}.")
        self._name = re.sub(r"[<>]", "", name)  # `<locals>` has brackets, which some file systems refuse
        self._function = function
        self._options = repr(sorted(options.items()))
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The folder of all builds, as Numba shows it in statistics."""
        return str(cache_root())

    def enable(self) -> None:
        """Use the files from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Do nothing: the name of a file that is out of date is never looked for again."""

    def _file(self, sig: Any) -> str | None:
        content = function_hash(self._function)
        if content is None:
            return None
        key = hashlib.sha256(f"{content} {self._options} {sig}".encode()).hexdigest()[:16]
        return f"{self._name}-{key}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return the compiled code of a signature, or None if it is not on disk."""
        target_context.refresh()
        if not self._enabled:
            return None
        content = load_file(self._file(sig), target_context.codegen().magic_tuple())
        return None if content is None else CompileResult._rebuild(target_context, *pickle.loads(content))

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Write the compiled code of a signature."""
        if self._enabled and not data.library.has_dynamic_globals:
            target = data.target_context.codegen().magic_tuple()
            save_file(self._file(sig), target, dumps(data._reduce()))


def _announce_compilation(name: str | None, path: Path | None) -> None:
    """Log once that the user has to wait, and whether the next start will be quicker."""
    global _announced
    with _announce_lock:
        if _announced:
            return
        _announced = True
        if path is None:
            _say_not_kept("their sources cannot be read" if name is None else "there is no home folder")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent) as file:
                file.write(bytes(_TRIAL_BYTES))
        except OSError as error:
            _say_not_kept(f"cannot write to '{path.parent}': {error.strerror}")
        else:
            logger.info("compiling kernels for this machine; done once, kept in %s", cache_root())


def _say_not_kept(why: str) -> None:
    global _said_not_kept
    if not _said_not_kept:
        _said_not_kept = True
        logger.warning(
            "compiling kernels for this machine, as at every start: %s; set %s to a writable folder",
            *(why, CACHE_VARIABLE),
        )

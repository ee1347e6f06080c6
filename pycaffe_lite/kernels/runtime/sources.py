"""Hashes of what compiled code is made of: its module, the modules that this imports, and closures.

Compiled code is kept on disk under such a hash (`runtime.cache`), so that an edit makes exactly the code that
depends on it be compiled again.
"""

import hashlib
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.types import Type

PACKAGE = "pycaffe_lite.kernels"
# Imports from this package only: what comes from elsewhere is no part of the machine code.
_IMPORT = re.compile(
    rf"^[ \t]*from[ \t]+({PACKAGE}[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)"
    rf"|^[ \t]*import[ \t]+({PACKAGE}[\w.]*)",
    re.MULTILINE,
)


def file_of(module: str) -> Path | None:
    """Return the source file of a module of this package, or None for any other name."""
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return None
    below = module.split(".")[PACKAGE.count(".") + 1 :]
    for room in sys.modules[PACKAGE].__path__:
        path = Path(room, *below)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def _content(module: str) -> tuple[bytes, frozenset[str]]:
    """Return the hash of a module's source, and the modules of this package that it imports.

    Raises:
        OSError: the source cannot be read.
    """
    file = file_of(module)
    if file is None:
        raise FileNotFoundError(module)
    content = file.read_bytes()
    imported = set()
    for origin, names, whole in _IMPORT.findall(content.decode()):
        candidates = [whole or origin, *(f"{origin}.{name}" for name in re.findall(r"\w+", names))]
        imported |= {name for name in candidates if file_of(name) is not None}
    return hashlib.sha256(content).digest(), frozenset(imported - {module})


@cache
def source_hash(module: str) -> str | None:
    """Return a hash of a module and of all modules of this package that it imports, directly or not.

    It is None if one of them cannot be read.
    """
    digest, found, left = hashlib.sha256(), {module}, [module]
    try:
        while left:
            new = _content(left.pop())[1] - found
            found |= new
            left += new
        for name in sorted(found):
            digest.update(name.encode() + b"\0" + _content(name)[0])
    except OSError:
        return None
    return digest.hexdigest()


def function_hash(function: Callable[..., Any]) -> str | None:
    """Return a hash of what a function's code is made of: the sources, its closure and its defaults.

    It is None if a part has no hash; the code must not be kept on disk then.
    """
    sources = source_hash(function.__module__)
    captured = _captured(function)
    if sources is None or captured is None:
        return None
    return hashlib.sha256(repr((sources, captured)).encode()).hexdigest()


def name_apart(function: Callable[..., Any]) -> None:
    """Give a closure a qualified name that no other closure of the same lines has.

    Numba tells these apart by a number that starts anew in each process. Two closures that different
    processes compiled may then share a symbol, and the linker keeps either one.
    """
    captured = _captured(function)
    if captured:
        name = function.__qualname__.partition("#")[0]
        function.__qualname__ = f"{name}#{hashlib.sha256(repr(captured).encode()).hexdigest()[:8]}"


def _captured(function: Callable[..., Any]) -> tuple[str, ...] | None:
    texts = [_text_of(cell.cell_contents) for cell in function.__closure__ or ()]
    texts += [_text_of(value) for value in function.__defaults__ or ()]
    return None if None in texts else tuple(text for text in texts if text is not None)


def _text_of(value: Any) -> str | None:
    """Return a text that no other value has, or None if there is none."""
    if value is None or isinstance(
        value, (bool, int, float, complex, str, bytes, np.generic, np.dtype, Type)
    ):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (tuple, list)):
        parts = [_text_of(part) for part in value]
        return None if None in parts else f"{type(value).__name__} {parts}"
    if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return f"{value.__module__}.{value.__qualname__} {value._fields}"
    function = getattr(value, "py_func", value)
    if callable(function) and hasattr(function, "__code__"):
        content, name = function_hash(function), function.__qualname__.partition("#")[0]
        return None if content is None else f"{function.__module__}.{name} {content}"
    return None

"""What compiled code is made of, as a hash: the sources of a module and of those it imports, and closures.

Code on disk is looked for under that hash (`runtime.cache`), so that after an edit what depends on it is
compiled anew, and nothing else.
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
# Of this room alone: what is imported from elsewhere is no part of the machine code.
_IMPORT = re.compile(
    rf"^[ \t]*from[ \t]+({PACKAGE}[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)"
    rf"|^[ \t]*import[ \t]+({PACKAGE}[\w.]*)",
    re.MULTILINE,
)


def file_of(module: str) -> Path | None:
    """The source file of a module of this room; None for any other name."""
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
    """The hash of a module's source, and the modules of this room that it imports.

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
    """Hash of a module's source and of all that it imports from this room; None where one cannot be read."""
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


def made_of(function: Callable[..., Any]) -> str | None:
    """Hash of what a function's code is made of: sources, and what it holds of the functions around it.

    None where that cannot be told: the code is then not to be kept.
    """
    sources = source_hash(function.__module__)
    held = _held_by(function)
    if sources is None or held is None:
        return None
    return hashlib.sha256(repr((sources, held)).encode()).hexdigest()


def name_apart(function: Callable[..., Any]) -> None:
    """Give a closure a qualified name that no other closure of the same lines has.

    Numba tells these apart by a number that starts anew in each process. Code that several processes compiled
    may so have one symbol for two closures, of which the linker keeps either.
    """
    held = _held_by(function)
    if held:
        name = function.__qualname__.partition("#")[0]
        function.__qualname__ = f"{name}#{hashlib.sha256(repr(held).encode()).hexdigest()[:8]}"


def _held_by(function: Callable[..., Any]) -> tuple[str, ...] | None:
    told = [_told(cell.cell_contents) for cell in function.__closure__ or ()]
    told += [_told(value) for value in function.__defaults__ or ()]
    return None if None in told else tuple(text for text in told if text is not None)


def _told(value: Any) -> str | None:
    """A value as a text that no other value has; None where there is no such text."""
    if value is None or isinstance(
        value, (bool, int, float, complex, str, bytes, np.generic, np.dtype, Type)
    ):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (tuple, list)):
        parts = [_told(part) for part in value]
        return None if None in parts else f"{type(value).__name__} {parts}"
    if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        return f"{value.__module__}.{value.__qualname__} {value._fields}"
    function = getattr(value, "py_func", value)
    if callable(function) and hasattr(function, "__code__"):
        hash_of_it = made_of(function)
        return None if hash_of_it is None else f"{function.__module__}.{function.__qualname__} {hash_of_it}"
    return None

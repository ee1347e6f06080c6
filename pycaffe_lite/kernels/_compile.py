"""Compiling kernels: every flag that Numba gets is written here.

All kernels release the GIL, compile on first use for the types they meet, divide as NumPy does (no
ZeroDivisionError) and keep the machine code on disk (`_cache`). One that departs from these flags names flag
and reason where it is decorated.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

import numba
from numba import types

from pycaffe_lite.kernels._cache import ROOM, KernelCache

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[..., Any], parallel: bool, options: dict[str, Any]) -> Any:
    """Numba's dispatcher for a function. parallel: its `prange` loops run on several threads."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", parallel=parallel, **options)(function)
    # A function from elsewhere is not part of the hash that names the cache folder.
    if function.__code__.co_filename.startswith(str(ROOM)):
        dispatcher._cache = KernelCache(function, {"parallel": parallel, **options})
    _forget_constants(dispatcher)
    return dispatcher


def _forget_constants(dispatcher: Any) -> None:
    """Compile no version of its own for a constant that a kernel passes on: that would take as long again."""
    find = dispatcher.get_call_template

    def find_for_any(args: Any, kws: Any) -> Any:
        names = {name: types.unliteral(kind) for name, kind in kws.items()}
        return find(tuple(types.unliteral(kind) for kind in args), names)

    dispatcher.get_call_template = find_for_any


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(function: Any = None, /, **options: Any) -> Any:
    """Compile a serial kernel, which other kernels may call.

    Args:
        function: plain Python on arrays and numbers; stays reachable as `.py_func`.
        options: further flags of `numba.njit` (fastmath, inline), with the reason in a comment.
    """
    if function is None:
        return lambda function: kernel(function, **options)
    return compiled(function, False, options)

"""How kernels are compiled, with every flag that Numba gets.

All kernels release the GIL, are compiled at their first call for the types of its arguments, divide as NumPy
does (without ZeroDivisionError) and keep their machine code on disk (`runtime.cache`). A kernel that departs
from these flags names the flag and the reason where it is decorated.
"""

import gc
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from numba import types
from numba.core.registry import CPUDispatcher

from pycaffe_lite.kernels.runtime.cache import KernelCache
from pycaffe_lite.kernels.runtime.locks import compiler_lock
from pycaffe_lite.kernels.runtime.sources import file_of, name_apart

P = ParamSpec("P")
R = TypeVar("R")


class _Dispatcher(CPUDispatcher):  # type: ignore[misc]
    """Numba's dispatcher, without what costs compile time and brings nothing."""

    def compile(self, sig: Any) -> Any:
        with compiler_lock:  # Numba takes it too, but only one thread at a time may switch the collector
            # The garbage collector would take 7 % of the time: Numba makes many objects and little garbage.
            collects = gc.isenabled()
            gc.disable()
            try:
                return super().compile(sig)
            finally:
                if collects:
                    gc.enable()

    def get_call_template(self, args: Any, kws: Any) -> Any:
        # One version for all constants that other kernels pass: Numba would compile one for each of them.
        names = {name: types.unliteral(kind) for name, kind in kws.items()}
        return super().get_call_template(tuple(types.unliteral(kind) for kind in args), names)


class _InnerDispatcher(_Dispatcher):
    """A dispatcher for functions that only other kernels call: they get no wrapper for calls from Python.

    For all kernels of LeNet, the wrappers would take 4 of 30 seconds. Called from Python, it runs the plain
    Python function.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.py_func(*args, **kwargs)


def compiled(
    function: Callable[..., Any], from_python: bool = True, parallel: bool = False, **options: Any
) -> Any:
    """Return Numba's dispatcher for a function.

    Args:
        function: what is to be compiled.
        from_python: whether Python code calls it, not only other kernels.
        parallel: whether its `prange` loops run on several threads.
        options: further flags of `numba.njit`.
    """
    flags = {"nopython": True, "nogil": True, "error_model": "numpy", "boundscheck": None, **options}
    flags |= {"parallel": parallel, "no_cpython_wrapper": not from_python, "no_cfunc_wrapper": True}
    name_apart(function)
    dispatcher = (_Dispatcher if from_python else _InnerDispatcher)(function, targetoptions=flags)
    # Only for the package's own functions is it known what they are made of.
    if file_of(function.__module__) is not None:
        dispatcher._cache = KernelCache(function, flags)
    return dispatcher


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(function: Any = None, /, **options: Any) -> Any:
    """Compile a serial kernel for other kernels. Called from Python code, it runs as plain Python.

    Args:
        function: plain Python on arrays and numbers; stays reachable as `.py_func`.
        options: further flags of `numba.njit` (fastmath, inline), with the reason in a comment.
    """
    if function is None:
        return lambda function: kernel(function, **options)
    return compiled(function, from_python=False, **options)


def serial_kernel(function: Callable[P, R], /) -> Callable[P, R]:
    """Compile a serial kernel that Python code calls; other kernels may call it, too."""
    return compiled(function)  # type: ignore[no-any-return]

"""Kernels that treat each value of flat arrays by itself, on several threads at once."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from pycaffe_lite.kernels.runtime.calls import CallSignature
from pycaffe_lite.kernels.runtime.compile import compiled, kernel
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.runtime.steps import PIECE, start

MEMORY = np.dtype(np.float32)  # the type of the working memory, which these kernels do not use


def _piece(args: tuple[Any, ...], first: int, stop: int) -> tuple[Any, ...]:
    """Return the arguments, with arg[first:stop] for each array."""
    return tuple(arg[first:stop] if isinstance(arg, np.ndarray) else arg for arg in args)


@overload(_piece)
def _compiled_piece(args, first, stop):  # type: ignore[no-untyped-def]  # Numba compares it with the lambdas
    # Numba joins tuples by + only.
    if len(args) == 0:
        return lambda args, first, stop: ()
    if isinstance(args[0], types.Array):
        return lambda args, first, stop: (args[0][first:stop],) + _piece(args[1:], first, stop)  # noqa: RUF005
    return lambda args, first, stop: (args[0],) + _piece(args[1:], first, stop)  # noqa: RUF005


class FlatKernel:
    """A compiled function of numbers and of flat arrays of one size, which Python code calls."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.py_func = function
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )
        of_piece = kernel(function)

        def in_pieces(args: tuple[Any, ...], size: int, tasks: Tasks, _memory: Array) -> None:
            first, stop = take_piece(tasks, size)
            while first < stop:
                of_piece(*_piece(args, first, stop))
                first, stop = take_piece(tasks, size)

        # The files on disk are named after these.
        in_pieces.__module__, in_pieces.__qualname__ = function.__module__, f"{function.__qualname__}.pieces"
        self.dispatcher = compiled(in_pieces, from_python=False)
        self._signatures: dict[tuple[Any, ...], CallSignature] = {}

    def __call__(self, *args: Any) -> None:
        """Run the function on pieces of the arrays."""
        values = tuple([arg.item() if isinstance(arg, np.generic) else arg for arg in args])
        key = tuple([arg.dtype.char if isinstance(arg, np.ndarray) else type(arg) for arg in values])
        signature = self._signatures.get(key)
        if signature is None:
            signature = self._signatures[key] = self._compile(values)
        size = values[0].size
        start(signature, no_memory(MEMORY, workers=1 if size <= PIECE else None), (values, size))

    def _compile(self, args: tuple[Any, ...]) -> CallSignature:
        kinds = numba.typeof(args), types.int64
        memory = no_memory(MEMORY, workers=1)
        types_of = (*kinds, numba.typeof(Tasks(np.zeros(1, np.int64), 0)), numba.typeof(memory[0]))
        self.dispatcher.compile(types_of)
        compiled = self.dispatcher.overloads[types_of]
        address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        return CallSignature(address, kinds, types_of[-1].dtype)


def flat_kernel(function: Callable[..., None], /) -> Callable[..., None]:
    """Compile a kernel that treats each value of flat arrays by itself, on several threads.

    function: takes numbers and contiguous arrays of one size; the first argument is an array. It is called
    with pieces of the arrays, so a result must depend on the values at its own index alone, and not on the
    index.
    """
    return FlatKernel(function)

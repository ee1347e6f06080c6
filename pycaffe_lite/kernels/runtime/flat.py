"""Kernels that map flat arrays value by value: several members of the team do a piece each."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from pycaffe_lite.kernels.runtime.calls import Form
from pycaffe_lite.kernels.runtime.compile import compiled, kernel
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece
from pycaffe_lite.kernels.runtime.scratch import no_memory
from pycaffe_lite.kernels.runtime.steps import PIECE, start

MEMORY = np.dtype(np.float32)  # of which there is none to speak of


def _piece(args: tuple[Any, ...], first: int, stop: int) -> tuple[Any, ...]:
    """The arguments with the numbers from first to stop of each array."""
    return tuple(arg[first:stop] if isinstance(arg, np.ndarray) else arg for arg in args)


@overload(_piece)
def _compiled_piece(args, first, stop):  # type: ignore[no-untyped-def]  # names and no more, as in the lambdas
    # Numba takes tuples together by + alone.
    if len(args) == 0:
        return lambda args, first, stop: ()
    if isinstance(args[0], types.Array):
        return lambda args, first, stop: (args[0][first:stop],) + _piece(args[1:], first, stop)  # noqa: RUF005
    return lambda args, first, stop: (args[0],) + _piece(args[1:], first, stop)  # noqa: RUF005


class FlatKernel:
    """A compiled function of flat arrays of one size, and numbers, to be called from Python."""

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

        # What is kept on disk goes by these names.
        in_pieces.__module__, in_pieces.__qualname__ = function.__module__, f"{function.__qualname__}.pieces"
        self.dispatcher = compiled(in_pieces, from_python=False)
        self._forms: dict[tuple[Any, ...], Form] = {}

    def __call__(self, *args: Any) -> None:
        """Runs the function on pieces of the arrays."""
        values = tuple([arg.item() if isinstance(arg, np.generic) else arg for arg in args])
        key = tuple([arg.dtype.char if isinstance(arg, np.ndarray) else type(arg) for arg in values])
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._compile(values)
        size = values[0].size
        start(form, no_memory(MEMORY, workers=1 if size <= PIECE else None), (values, size))

    def _compile(self, args: tuple[Any, ...]) -> Form:
        kinds = numba.typeof(args), types.int64
        memory = no_memory(MEMORY, workers=1)
        signature = (*kinds, numba.typeof(Tasks(np.zeros(1, np.int64), 0)), numba.typeof(memory[0]))
        self.dispatcher.compile(signature)
        compiled = self.dispatcher.overloads[signature]
        address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        return Form(address, kinds, signature[-1].dtype)


def flat_kernel(function: Callable[..., None], /) -> Callable[..., None]:
    """Compile a kernel of flat arrays that does the same for each of their numbers, on several threads.

    function: of contiguous arrays of one size, the first argument among them, and numbers. It is called with
    pieces of the arrays; so no number may depend on others, nor on its place.
    """
    return FlatKernel(function)

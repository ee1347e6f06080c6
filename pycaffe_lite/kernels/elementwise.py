"""Elementwise kernels: a formula for the numbers at one place, carried out at every place of flat arrays.

A family of kernels is a module of such formulas:

    @elementwise
    def forward(x: Number, alpha: Number) -> Number:
        return x if x > type(x)(0) else alpha * x

    forward(x, 0.1, y)           # for flat arrays x and y: y[i] = ...
    forward.py_func(-2.0, 0.1)   # the formula itself, for two numbers

A formula sees numbers and nothing else, so the places may be taken in any order, by several threads. Its
constants must have the type of the arrays, `type(x)(1)`: a plain 1 would make a float64 of a float32, and the
kernel would not be compiled. Loops over `exp`, `tanh` and `sigmoid` of `simd.math` run in vector registers.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types

from pycaffe_lite.kernels.runtime.calls import TASKS, CallSignature, data_address
from pycaffe_lite.kernels.runtime.compile import compiled, kernel
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, get_num_threads, take_piece
from pycaffe_lite.kernels.runtime.locks import compiler_lock
from pycaffe_lite.kernels.runtime.steps import PIECE, start
from pycaffe_lite.kernels.runtime.threads import MOST_THREADS
from pycaffe_lite.kernels.simd.elements import elements_at, set_elements

Number = Any  # float32 or float64, as the arrays are; in a test of the formula, any number of Python's

# Kernels get working memory, a row for each thread. These never look at it, so all calls share it.
_UNUSED = np.zeros((MOST_THREADS, 1), np.float32)
_UNUSED_ALONE = _UNUSED[:1]


class Elementwise:
    """A formula compiled for flat arrays, to be called from Python.

    Attributes:
        py_func: the formula, a plain function of numbers.
        names: the names of its parameters, in order.
    """

    def __init__(self, formula: Callable[..., Any]) -> None:
        self.py_func = formula
        self.__doc__, self.__name__, self.__module__ = formula.__doc__, formula.__name__, formula.__module__
        self._inputs = formula.__code__.co_argcount
        self.names = formula.__code__.co_varnames[: self._inputs]
        self._dispatcher = compiled(_in_pieces(formula), from_python=False)
        self._signatures: dict[Any, CallSignature] = {}

    def __call__(self, *args: Any) -> None:
        """Writes what the formula gives into the last arrays, one for each number that it returns.

        Args:
            args: what the formula takes, arrays and numbers, and then the arrays for what it returns. All
                arrays are contiguous, of one axis and one size. Inputs may be overwritten by the first or
                the last of them; any other overlap gives wrong results.
        """
        inputs, results = args[: self._inputs], args[self._inputs :]
        inputs, key = _once(inputs, results)
        form = self._signatures.get(key)
        if form is None:
            form = self._signatures[key] = self._compile(inputs, results)
        memory = _UNUSED_ALONE if results[-1].size <= PIECE else _UNUSED[: get_num_threads()]
        start(form, memory, (*inputs, *results))  # tuples are written down as their members are

    def _compile(self, inputs: tuple[Any, ...], results: tuple[Array, ...]) -> CallSignature:
        """The form of such calls. Floats are rounded to the type of the last array, once for all places."""
        number = numba.typeof(results[-1]).dtype
        kinds = (
            types.Tuple(
                [number if isinstance(arg, (float, np.floating)) else numba.typeof(arg) for arg in inputs]
            ),
            types.Tuple([numba.typeof(array) for array in results]),
        )
        signature = (*kinds, TASKS, numba.typeof(_UNUSED[0]))
        with compiler_lock:
            self._dispatcher.compile(signature)
            code = self._dispatcher.overloads[signature]
            address = code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
        name = f"{self.__module__.rpartition('.')[2]}.{self.__name__}"
        return CallSignature(name, address, kinds, signature[-1].dtype)


def _once(inputs: tuple[Any, ...], results: tuple[Array, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Puts None in place of an input that is the last of the results, and () where it is the first.

    So the compiled loop sees each array once. It cannot know that an input is also a result: LLVM would have
    it compare addresses, and go on number by number where they overlap. That makes e^x in place ten times as
    slow.

    Returns:
        The inputs; the kinds of all arguments, which tell calls apart that need code of their own.
    """
    last = data_address(results[-1])
    first = data_address(results[0]) if len(results) > 1 else last
    once: list[Any] = []
    kinds: list[Any] = [array.dtype.char for array in results]
    for arg in inputs:
        if isinstance(arg, np.ndarray):
            address = data_address(arg)
            arg = None if address == last else () if address == first else arg
            kinds.append(arg.dtype.char if isinstance(arg, np.ndarray) else arg)
        else:
            kinds.append(type(arg))
        once.append(arg)
    return tuple(once), tuple(kinds)


def _in_pieces(formula: Callable[..., Any]) -> Callable[..., None]:
    """The worker kernel that carries out a formula: pieces of the arrays, and the places of a piece."""
    compiled_formula = kernel(formula)

    # A function of its own, so that LLVM keeps the formula's constants in registers throughout the loop.
    def piece(inputs: Any, results: Any, first: int, stop: int) -> None:
        for i in range(first, stop):
            set_elements(results, i, compiled_formula(*elements_at(inputs, results, i)))

    name_after(formula, piece)
    compiled_piece = kernel(piece)

    def pieces(inputs: Any, results: Any, tasks: Tasks, _memory: Array) -> None:
        size = results[-1].size
        first, stop = take_piece(tasks, size)
        while first < stop:
            compiled_piece(inputs, results, first, stop)
            first, stop = take_piece(tasks, size)

    name_after(formula, pieces)
    return pieces


def name_after(formula: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Gives a function the formula's place and name: compiled code is kept on disk under these."""
    function.__module__ = formula.__module__
    function.__qualname__ = f"{formula.__qualname__}.{function.__name__}"


def elementwise(formula: Callable[..., Any], /) -> Elementwise:
    """Makes a kernel of flat arrays from a formula for the numbers at one place.

    Args:
        formula: takes numbers, positional ones only, and returns one number or a tuple of several. It is
            compiled, and stays reachable as `.py_func`.
    """
    return Elementwise(formula)

"""Calls of worker kernels as numbers: what is written down of one, and the code that makes it again.

A call is a row of slots of 8 bytes: where the code is that makes the call, where the kernel's own code is,
its working memory, and its arguments. An array takes a slot for its place and one for the length of each
axis, a tuple the slots of its members, None no slot.

The code that makes the call is written in LLVM's language, one function for all kernels with arguments of the
same types. Numba would take a tenth of a second for each: with as many kernels as LeNet has, two seconds.
"""

import ctypes
import hashlib
import struct
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target

from pycaffe_lite.kernels.runtime.llvm import INT64, compiled_module
from pycaffe_lite.kernels.runtime.sources import source_hash

CALL_BYTES = 2048  # room for what is written down of a call
LINE = 8  # int64 numbers in a cache line: who writes to one takes it away from all others
SLOTS = INT64.as_pointer()
# Makes a call: (its slots, counts of tasks taken, number of workers, which one this is).
CALLER = ir.FunctionType(ir.VoidType(), [SLOTS, INT64.as_pointer(), INT64, INT64])

Array = npt.NDArray[Any]


class Tasks(NamedTuple):
    """What the workers of one step share out among them."""

    taken: Array  # (workers * LINE,), int64: how many tasks of each worker's share, a cache line for each
    worker: int  # which one this is


TAKEN = types.Array(types.int64, 1, "C")
TASKS = types.NamedTuple([TAKEN, types.int64], Tasks)


class Form:
    """How calls of a kernel are written down.

    Args:
        address: of the kernel's code.
        kinds: Numba's types of its arguments, before its tasks and its memory.
        memory: the type of a number of its memory.

    Raises:
        NotImplementedError: there are more arguments than there is room for.
    """

    def __init__(self, address: int, kinds: tuple[Any, ...], memory: Any) -> None:
        self._head = _caller(kinds, memory), address
        self._struct = struct.Struct("=qqqq" + "".join(map(_codes, kinds)))
        if self._struct.size > CALL_BYTES:
            raise NotImplementedError(f"a call's arguments take more than {CALL_BYTES} bytes")

    def write(self, room: Any, at: int, memory: Array, args: tuple[Any, ...]) -> None:
        """Write down kernel(*args, tasks, memory[worker]), from byte `at` of the room on."""
        slots = [*self._head, data_address(memory), memory.shape[1]]
        _add_slots(slots, args)
        self._struct.pack_into(room, at, *slots)


def data_address(array: Array) -> int:
    """As array.ctypes.data, which takes eight times as long.

    In NumPy's C interface the address is the first field of an array, behind what every object begins with.
    """
    return ctypes.c_void_p.from_address(id(array) + object.__basicsize__).value or 0


def _add_slots(slots: list[Any], args: tuple[Any, ...]) -> None:
    for arg in args:
        if isinstance(arg, np.ndarray):
            slots.append(data_address(arg))
            slots += arg.shape
        elif isinstance(arg, tuple):
            _add_slots(slots, arg)
        elif arg is not None:
            slots.append(arg)


def _codes(kind: Any) -> str:
    """The slots of a type, in the letters of `struct`."""
    if isinstance(kind, types.BaseTuple):
        return "".join(map(_codes, kind))
    if isinstance(kind, types.NoneType):
        return ""
    if isinstance(kind, types.Boolean):
        return "?7x"
    if isinstance(kind, types.Float):
        return "d"
    return "q" * (1 + kind.ndim if isinstance(kind, types.Array) else 1)


@cache
def _caller(kinds: tuple[Any, ...], memory: Any) -> int:
    """Address of the function that makes calls with arguments of these types."""
    name = "call-" + hashlib.sha256(f"{kinds} {memory}".encode()).hexdigest()[:16]

    def write() -> Any:
        module = cpu_target.target_context.create_module(name)
        _write_caller(module, kinds, memory)
        return module

    return int(compiled_module(name, source_hash(__name__), write).get_function_address("caller"))


def _write_caller(module: Any, kinds: tuple[Any, ...], memory: Any) -> None:
    context = cpu_target.target_context
    function = ir.Function(module, CALLER, "caller")
    builder = ir.IRBuilder(function.append_basic_block())
    slots, taken, workers, worker = function.args
    reader = _Reader(context, builder, slots)
    _, address, start, row = (reader.number() for _ in range(4))  # as `Form.write` begins
    args = [reader.read(kind) for kind in kinds]
    taken = _array_at(context, builder, TAKEN, taken, [builder.mul(workers, INT64(LINE))])
    tasks = context.make_tuple(builder, TASKS, [taken, worker])
    row_type = types.Array(memory, 1, "C")
    rows = builder.inttoptr(start, context.get_data_type(memory).as_pointer())
    own = _array_at(context, builder, row_type, builder.gep(rows, [builder.mul(worker, row)]), [row])
    called_with = (*kinds, TASKS, row_type)
    kernel_type = context.call_conv.get_function_type(types.none, called_with)
    kernel = builder.inttoptr(address, kernel_type.as_pointer())
    context.call_conv.call_function(builder, kernel, types.none, called_with, [*args, tasks, own])
    builder.ret_void()


class _Reader:
    """Writes the code that reads arguments, slot by slot."""

    def __init__(self, context: Any, builder: Any, slots: Any) -> None:
        self._context, self._builder, self._slots = context, builder, slots
        self._next = 0

    def _slot(self, kind: Any) -> Any:
        place = self._builder.gep(self._slots, [INT64(self._next)])
        self._next += 1
        return self._builder.load(self._builder.bitcast(place, kind.as_pointer()))

    def number(self) -> Any:
        return self._slot(INT64)

    def read(self, kind: Any) -> Any:
        """An argument of one of Numba's types, as Numba holds it."""
        builder, context = self._builder, self._context
        if isinstance(kind, types.Array):
            data = self._slot(context.get_data_type(kind.dtype).as_pointer())
            return _array_at(context, builder, kind, data, [self.number() for _ in range(kind.ndim)])
        if isinstance(kind, types.BaseTuple):
            return context.make_tuple(builder, kind, [self.read(member) for member in kind])
        if isinstance(kind, types.NoneType):
            return context.get_dummy_value()
        if isinstance(kind, types.Float):
            value = self._slot(ir.DoubleType())
            return value if kind == types.float64 else builder.fptrunc(value, ir.FloatType())
        value, held = self.number(), context.get_value_type(kind)
        return value if held == INT64 else builder.trunc(value, held)


def _array_at(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """The contiguous array of a shape that starts at a pointer; nobody owns it."""
    item = INT64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides: list[Any] = []
    count = INT64(1)
    for length in reversed(shape):
        strides.insert(0, builder.mul(count, item))
        count = builder.mul(count, length)
    array = context.make_array(kind)(context, builder)
    array.data, array.nitems, array.itemsize = data, count, item
    array.shape, array.strides = (cgutils.pack_array(builder, v, INT64) for v in (shape, strides))
    array.meminfo, array.parent = (cgutils.get_null_value(v.type) for v in (array.meminfo, array.parent))
    return array._getvalue()

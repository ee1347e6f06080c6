"""Calls of worker kernels in a form that compiled code can repeat: packed arguments and trampolines.

A packed call is a row of slots of 8 bytes: the address of a trampoline, the address of the kernel, its
working memory, and its arguments. An array takes a slot for its address and one for the length of each axis,
a tuple takes the slots of its members, and None takes no slot.

A trampoline is a function that reads the slots and calls the kernel. It is written in LLVM IR, one for all
kernels whose arguments have the same types. Numba would take a tenth of a second to compile one for each
kernel, which is two seconds for the kernels of LeNet.
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

CALL_BYTES = 2048  # the room for a packed call
LINE = 8  # int64 numbers in a cache line: a core that writes to one takes it away from all others
SLOTS = INT64.as_pointer()
# Its arguments: the slots of a call, the counts of tasks taken, how many workers there are, the worker's
# number.
TRAMPOLINE = ir.FunctionType(ir.VoidType(), [SLOTS, INT64.as_pointer(), INT64, INT64])

Array = npt.NDArray[Any]


class Tasks(NamedTuple):
    """The tasks of one step, which its workers share out."""

    taken: (
        Array  # (workers * LINE,), int64: how many tasks of each worker's share, with a cache line for each
    )
    worker: int  # the number of the worker itself


TAKEN = types.Array(types.int64, 1, "C")
TASKS = types.NamedTuple([TAKEN, types.int64], Tasks)


# The names of kernels, by the addresses of their code.
kernel_names: dict[int, str] = {}


class CallSignature:
    """The types of a kernel's arguments, and how calls with such arguments are packed.

    Args:
        name: of the kernel, for those who look at calls.
        address: of the kernel's code.
        kinds: Numba's types of the kernel's arguments that precede its tasks and its memory.
        memory: Numba's type of a number of the kernel's memory.

    Raises:
        NotImplementedError: the arguments take more room than a packed call has.
    """

    def __init__(self, name: str, address: int, kinds: tuple[Any, ...], memory: Any) -> None:
        kernel_names[address] = name
        self._head = _trampoline(kinds, memory), address
        self._struct = struct.Struct("=qqqq" + "".join(map(_struct_codes, kinds)))
        if self._struct.size > CALL_BYTES:
            raise NotImplementedError(f"a call's arguments take more than {CALL_BYTES} bytes")

    def write(self, room: Any, at: int, memory: Array, args: tuple[Any, ...]) -> None:
        """Pack the call kernel(*args, tasks, memory[worker]) into the room, from byte `at` on."""
        slots = [*self._head, data_address(memory), memory.shape[1]]
        _add_slots(slots, args)
        self._struct.pack_into(room, at, *slots)


def data_address(array: Array) -> int:
    """Return array.ctypes.data, in an eighth of the time.

    In NumPy's C interface, the address is the first field of an array behind the header of every object.
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


def _struct_codes(kind: Any) -> str:
    """Return the slots of a type as format characters of `struct`."""
    if isinstance(kind, types.BaseTuple):
        return "".join(map(_struct_codes, kind))
    if isinstance(kind, types.NoneType):
        return ""
    if isinstance(kind, types.Boolean):
        return "?7x"
    if isinstance(kind, types.Float):
        return "d"
    return "q" * (1 + kind.ndim if isinstance(kind, types.Array) else 1)


@cache
def _trampoline(kinds: tuple[Any, ...], memory: Any) -> int:
    """Return the address of the trampoline for arguments of these types."""
    name = "call-" + hashlib.sha256(f"{kinds} {memory}".encode()).hexdigest()[:16]

    def write() -> Any:
        module = cpu_target.target_context.create_module(name)
        _write_trampoline(module, kinds, memory)
        return module

    return int(compiled_module(name, source_hash(__name__), write).get_function_address("trampoline"))


def _write_trampoline(module: Any, kinds: tuple[Any, ...], memory: Any) -> None:
    context = cpu_target.target_context
    function = ir.Function(module, TRAMPOLINE, "trampoline")
    builder = ir.IRBuilder(function.append_basic_block())
    slots, taken, workers, worker = function.args
    reader = _Reader(context, builder, slots)
    _, address, start, row = (reader.number() for _ in range(4))  # in the order of `CallSignature.write`
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
    """Writes the code that reads the arguments of a packed call, slot by slot."""

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
        """Read an argument of one of Numba's types, in Numba's own representation."""
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
    """Make a contiguous array of a shape that starts at a pointer and does not own its memory."""
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

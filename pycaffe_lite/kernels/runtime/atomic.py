"""Atomic operations on int64 numbers that several threads share.

A number is an entry of an int64 array, or of the int64 numbers that start at an address. Every operation is
sequentially consistent: all threads see all operations in one order, and what a thread stores before an
operation is visible to whoever sees that operation's result.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import INT64

ORDER = "seq_cst"


def _pointer(context: Any, builder: Any, kind: Any, numbers: Any, index: Any) -> Any:
    if isinstance(kind, types.Array):
        first = context.make_array(kind)(context, builder, numbers).data
    else:
        first = builder.inttoptr(numbers, INT64.as_pointer())
    return builder.gep(first, [index])


@intrinsic
def fetch_increment(_context: Any, numbers: Any, index: Any) -> Any:
    """Add 1 to numbers[index] and return what it was before, so that no two threads get the same number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", pointer, INT64(1), ORDER)

    return types.int64(numbers, types.intp), codegen


@intrinsic
def exchange(_context: Any, numbers: Any, index: Any, value: Any) -> Any:
    """Store the value in numbers[index] and return what was there before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("xchg", pointer, args[2], ORDER)

    return types.int64(numbers, types.intp, types.int64), codegen


@intrinsic
def compare_and_swap(_context: Any, numbers: Any, index: Any, expected: Any, value: Any) -> Any:
    """Store the value in numbers[index] if that is as expected; return whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.extract_value(builder.cmpxchg(pointer, args[2], args[3], ORDER, ORDER), 1)

    return types.boolean(numbers, types.intp, types.int64, types.int64), codegen


@intrinsic
def load(_context: Any, numbers: Any, index: Any) -> Any:
    """Return numbers[index]; what the thread that wrote it had stored before is visible from then on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(pointer, ORDER, align=8)

    return types.int64(numbers, types.intp), codegen


@intrinsic
def pause(_context: Any) -> Any:
    """Tell the core that this thread is spinning, if the processor has an instruction for that."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if context.codegen().magic_tuple()[0].startswith(("x86_64", "i686")):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen

"""Steps on shared numbers that several threads take at once, each whole and in one order for all of them.

A number is an entry of an int64 array, or of int64 numbers from an address on. Every step orders what its
thread stores and loads before and after it, also past the caches.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import INT64


def _place(context: Any, builder: Any, kind: Any, numbers: Any, index: Any) -> Any:
    if isinstance(kind, types.Array):
        first = context.make_array(kind)(context, builder, numbers).data
    else:
        first = builder.inttoptr(numbers, INT64.as_pointer())
    return builder.gep(first, [index])


@intrinsic
def count_up(_context: Any, numbers: Any, index: Any) -> Any:
    """numbers[index], which is raised by one in the same step: threads get different numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", place, INT64(1), "seq_cst")

    return types.int64(numbers, types.intp), codegen


@intrinsic
def exchange(_context: Any, numbers: Any, index: Any, value: Any) -> Any:
    """numbers[index], which becomes the value in the same step."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("xchg", place, args[2], "seq_cst")

    return types.int64(numbers, types.intp, types.int64), codegen


@intrinsic
def swap_if(_context: Any, numbers: Any, index: Any, expected: Any, value: Any) -> Any:
    """Whether numbers[index] was as expected; then it becomes the value in the same step."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return builder.extract_value(builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst"), 1)

    return types.boolean(numbers, types.intp, types.int64, types.int64), codegen


@intrinsic
def read(_context: Any, numbers: Any, index: Any) -> Any:
    """numbers[index]; what its writer stored before it can be read afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "seq_cst", align=8)

    return types.int64(numbers, types.intp), codegen


@intrinsic
def pause(_context: Any) -> Any:
    """Tell the core that this thread waits, where there is an instruction for that."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if context.codegen().magic_tuple()[0].startswith(("x86_64", "i686")):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen

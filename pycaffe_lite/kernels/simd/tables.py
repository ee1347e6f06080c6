"""Tables of functions that are written in LLVM IR and that kernels call by their addresses.

Such functions are compiled once for each type, apart from Numba. If they were compiled into every kernel that
uses them, they would take most of a cold start.
"""

import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types

from pycaffe_lite.kernels.runtime.decorators import Array
from pycaffe_lite.kernels.runtime.llvm import INT64, compiled_module, item_bytes, target
from pycaffe_lite.kernels.runtime.sources import function_hash
from pycaffe_lite.kernels.simd.vectors import VectorWriter, data_pointer

# By name: the function's index in its table, the writer of its code, and sizes: writer(module, name, type,
# *sizes).
Functions: TypeAlias = dict[str, tuple[int, Callable[..., None], tuple[int, ...]]]


def function_table(name: str, dtype: Any, functions: Functions, size: int) -> Array:
    """Return the addresses of functions for one of Numba's types.

    Args:
        name: of the compiled code on disk.
        dtype: Numba's float32 or float64.
        functions: the functions and their indices.
        size: of the table.

    Returns:
        (size,), int64; 0 at an index that no function has.
    """

    def write() -> Any:
        module = ir.Module()
        for function, (_, writer, sizes) in functions.items():
            writer(module, function, dtype, *sizes)
        return module

    engine = compiled_module(name, _content_of(functions), write)
    table = np.zeros(size, np.int64)
    for function, (number, _, _) in functions.items():
        table[number] = engine.get_function_address(function)
    return table


def _content_of(functions: Functions) -> str | None:
    parts = [
        (name, function_hash(writer), number, sizes) for name, (number, writer, sizes) in functions.items()
    ]
    if any(hash_of_writer is None for _, hash_of_writer, _, _ in parts):
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def new_function(module: Any, name: str, argument_types: list[Any]) -> tuple[Any, Any]:
    """Add a function without a result to a module; return the function and a builder at its beginning."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), argument_types), name)
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def vector_writer(builder: Any, dtype: Any) -> VectorWriter:
    """Return a writer of code for vectors that are as wide as the CPU's registers."""
    return VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))


def call_entry(builder: Any, table: Any, number: Any, argument_types: list[Any], args: list[Any]) -> None:
    """Write a call of the function whose address is entry `number` of the table."""
    address = builder.load(builder.gep(table, [number]))
    signature = ir.FunctionType(ir.VoidType(), argument_types)
    builder.call(builder.inttoptr(address, signature.as_pointer()), args)


def passing_on(argument_types: list[Any]) -> Callable[..., Any]:
    """Return the code generator of an intrinsic that calls a function in a table.

    The arguments of the intrinsic are the table, the index in it, and what the function gets. Each array is
    followed by the offset of its first element: the two become one pointer.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        call, i = [], 2
        while i < len(args):
            if isinstance(signature.args[i], types.Array):
                call.append(data_pointer(context, builder, signature.args[i], args[i], args[i + 1]))
                i += 2
            else:
                call.append(args[i])
                i += 1
        table = data_pointer(context, builder, signature.args[0], args[0], INT64(0))
        call_entry(builder, table, args[1], argument_types, call)
        return context.get_dummy_value()

    return codegen

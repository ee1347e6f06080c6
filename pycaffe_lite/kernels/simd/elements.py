"""The numbers at one place of several flat arrays, for loops over arrays that come as a tuple."""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import INT64
from pycaffe_lite.kernels.simd.vectors import data_pointer


@intrinsic
def elements_at(_context: Any, args: Any, results: Any, i: Any) -> Any:
    """The tuple of args[k][i] for each array args[k], and of the numbers in args as they are.

    None stands for the last array of `results`, () for the first. All arrays are contiguous and have more
    than i numbers; i is not negative.
    """
    of_results = {types.none: -1, types.Tuple(()): 0}
    kinds = [results[of_results[arg]] if arg in of_results else arg for arg in args]
    result = types.Tuple([kind.dtype if isinstance(kind, types.Array) else kind for kind in kinds])

    def codegen(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        members, result_arrays = (cgutils.unpack_tuple(builder, operand) for operand in operands[:2])
        values = []
        for arg, kind, value in zip(args, kinds, members, strict=True):
            if isinstance(kind, types.Array):
                array = result_arrays[of_results[arg]] if arg in of_results else value
                pointer = data_pointer(context, builder, kind, array, operands[2])
                values.append(context.unpack_value(builder, kind.dtype, pointer))
            else:
                values.append(value)
        return context.make_tuple(builder, result, values)

    return result(args, results, types.intp), codegen


@intrinsic
def set_elements(_context: Any, arrays: Any, i: Any, values: Any) -> Any:
    """arrays[k][i] = values[k] for each k; for a single array, values may be its number itself.

    A value must have the type of its array, lest a loop over float32 arrays compute in float64 because of a
    constant that is an int or a float64. Only whole numbers may differ in width.
    """
    kinds = tuple(values) if isinstance(values, types.BaseTuple) else (values,)
    if len(kinds) != len(arrays):
        raise TypingError(f"{len(kinds)} values for {len(arrays)} arrays")
    for array, kind in zip(arrays, kinds, strict=True):
        both_whole = isinstance(kind, types.Integer) and isinstance(array.dtype, types.Integer)
        if kind != array.dtype and not both_whole:
            raise TypingError(f"{kind} for an array of {array.dtype}: write constants as type(x)(1)")

    def codegen(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        members, place, value = operands
        parts = cgutils.unpack_tuple(builder, value) if isinstance(values, types.BaseTuple) else [value]
        for kind, array, part_kind, part in zip(
            arrays, cgutils.unpack_tuple(builder, members), kinds, parts, strict=True
        ):
            pointer = data_pointer(context, builder, kind, array, place)
            number = context.cast(builder, part, part_kind, kind.dtype)
            context.pack_value(builder, kind.dtype, number, pointer)
        return context.get_dummy_value()

    return types.void(arrays, types.intp, values), codegen


@intrinsic(prefer_literal=True)
def rounded(_context: Any, numbers: Any, start: Any, count: Any, like: Any) -> Any:
    """The tuple of numbers[start], numbers[start + 1] and so on, in the type of the array `like`.

    numbers: a contiguous array. count: how many they are, a constant.
    """
    length, item = count.literal_value, like.dtype
    result = types.UniTuple(item, length)

    def codegen(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        values = []
        for k in range(length):
            place = builder.add(operands[1], INT64(k))
            pointer = data_pointer(context, builder, numbers, operands[0], place)
            value = context.unpack_value(builder, numbers.dtype, pointer)
            values.append(context.cast(builder, value, numbers.dtype, item))
        return context.make_tuple(builder, result, values)

    return result(numbers, types.intp, count, like), codegen


@intrinsic
def same_place(_context: Any, a: Any, b: Any) -> Any:
    """Whether two contiguous arrays begin at the same number.

    A loop that reads `a` and writes `b` then has to be written as one that reads and writes `b`: LLVM cannot
    know that they are the same, and goes on number by number where it finds that they overlap.
    """

    def codegen(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        first, second = (
            builder.ptrtoint(data_pointer(context, builder, kind, array, INT64(0)), INT64)
            for kind, array in zip((a, b), operands, strict=True)
        )
        return builder.icmp_unsigned("==", first, second)

    return types.boolean(a, b), codegen

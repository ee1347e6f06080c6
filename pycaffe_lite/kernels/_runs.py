"""Maxima and sums over the windows of neighbouring outputs: pooling's innermost loops, as vectors.

Outputs o, o + 1, .. of one row read x[.., o * stride + j], so that with stride 1 a vector of outputs takes
its j-th values from one vector of x, and with stride 2 every other value of two. The last vector of a run
ends where the run ends, over values that are already there: nothing is read or written beyond it, and no
value is left over for a slower loop. Runs shorter than a vector take a narrower one.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels._simd import INT32, INT64, VectorWriter, data_pointer, item_bytes, target

LEAST_RUN = 4  # outputs; the narrowest vector


class _Writer(VectorWriter):
    """Vectors of `lanes` values or indices, and the loads of a window's column for neighbouring outputs."""

    def __init__(self, builder: Any, dtype: Any, lanes: int, stride: Any) -> None:
        super().__init__(builder, dtype, lanes)
        self.stride = stride
        self.indices = ir.VectorType(INT32, lanes)

    def load_column(self, pointer: Any) -> Any:
        """The values at pointer[0], pointer[stride], .. for `lanes` outputs; stride 1 or 2."""
        builder, lanes = self.builder, self.lanes
        with builder.if_else(builder.icmp_signed("==", self.stride, INT64(1))) as (dense, sparse):
            with dense:
                one = self.load(pointer)
                from_dense = builder.basic_block
            with sparse:
                # The second vector starts one early, so that the last value needed is the last one read.
                first, second = self.load(pointer), self.load(self.at(pointer, lanes - 1))
                even = [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)]
                every_other = self._shuffle(first, second, even)
                from_sparse = builder.basic_block
        values = builder.phi(self.vector)
        values.add_incoming(one, from_dense)
        values.add_incoming(every_other, from_sparse)
        return values

    def splat_index(self, value: Any) -> Any:
        """One int32 in all lanes."""
        undefined = ir.Constant(self.indices, ir.Undefined)
        first = self.builder.insert_element(undefined, value, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def first_indices(self, start: Any) -> Any:
        """start, start + stride, ..: the indices of the first values of the outputs' windows."""
        builder = self.builder
        count = ir.Constant(self.indices, list(range(self.lanes)))
        steps = builder.mul(count, self.splat_index(builder.trunc(self.stride, INT32)))
        return builder.add(steps, self.splat_index(builder.trunc(start, INT32)))


Body = Callable[[_Writer, Any, Any], None]


def _each_run(builder: Any, dtype: Any, stride: Any, count: Any, body: Body) -> None:
    """Write body(writer, o, vector's width) over all outputs, with the widest vector that the run fills."""
    widths = []
    lanes = target().lanes(item_bytes(dtype))
    while lanes >= LEAST_RUN:
        widths.append(lanes)
        lanes //= 2
    done = builder.append_basic_block("runs.done")
    for lanes in widths or [LEAST_RUN]:
        fits, narrower = builder.append_basic_block("fits"), builder.append_basic_block("narrower")
        builder.cbranch(builder.icmp_signed(">=", count, INT64(lanes)), fits, narrower)
        builder.position_at_end(fits)
        writer = _Writer(builder, dtype, lanes, stride)
        vectors = builder.sdiv(builder.add(count, INT64(lanes - 1)), INT64(lanes))
        last = builder.sub(count, INT64(lanes))
        with cgutils.for_range(builder, vectors) as loop:
            at = builder.mul(loop.index, INT64(lanes))
            o = builder.select(builder.icmp_signed("<", at, last), at, last)
            body(writer, o, lanes)
        builder.branch(done)
        builder.position_at_end(narrower)
    builder.branch(done)
    builder.position_at_end(done)


@intrinsic
def max_run(
    _context: Any, x: Any, at: Any, row: Any, high: Any, wide: Any, stride: Any, count: Any,
    lowest: Any, y: Any, to: Any, index: Any, index_at: Any, index_row: Any,
) -> Any:  # fmt: skip
    """y[to + o] = max over i < high, j < wide of x[at + i row + o stride + j], o < count; at least `lowest`.

    index[to + o], unless index is None: index_at + i index_row + o stride + j of the first maximum in the
    order of i, j; -1 where nothing is above `lowest`. stride: 1 or 2; count: LEAST_RUN or more.
    """
    dtype, indexed = x.dtype, not isinstance(index, types.NoneType)
    size = types.intp
    signature = types.void(x, size, size, size, size, size, size, dtype, y, size, index, size, size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, row, high, wide, stride, count, lowest = args[1:8]
        source = data_pointer(context, builder, signature.args[0], args[0], at)
        out = data_pointer(context, builder, signature.args[8], args[8], args[9])
        if indexed:
            index_out = data_pointer(context, builder, signature.args[10], args[10], args[9])

        def body(writer: _Writer, o: Any, _lanes: int) -> None:
            best = cgutils.alloca_once_value(builder, writer.splat(lowest))
            start = writer.at(source, builder.mul(o, stride))
            if indexed:
                where = cgutils.alloca_once_value(builder, writer.splat_index(INT32(-1)))
                first = writer.first_indices(builder.add(args[11], builder.mul(o, stride)))
            with cgutils.for_range(builder, high) as rows:
                line, index_line = builder.mul(rows.index, row), builder.mul(rows.index, args[12])
                with cgutils.for_range(builder, wide) as columns:
                    values = writer.load_column(writer.at(start, builder.add(line, columns.index)))
                    before = builder.load(best)
                    above = builder.fcmp_ordered(">", values, before)
                    builder.store(builder.select(above, values, before), best)
                    if indexed:
                        offset = builder.trunc(builder.add(index_line, columns.index), INT32)
                        here = builder.add(first, writer.splat_index(offset))
                        builder.store(builder.select(above, here, builder.load(where)), where)
            writer.store(builder.load(best), writer.at(out, o))
            if indexed:
                writer.store(builder.load(where), writer.at(index_out, o))

        _each_run(builder, dtype, stride, count, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def sum_run(
    _context: Any, x: Any, at: Any, row: Any, high: Any, wide: Any, stride: Any, count: Any, y: Any, to: Any
) -> Any:
    """y[to + o] = sum over i < high, j < wide of x[at + i * row + o * stride + j], o < count, in that order.

    stride: 1 or 2; count: LEAST_RUN or more.
    """
    dtype = x.dtype
    size = types.intp
    signature = types.void(x, size, size, size, size, size, size, y, size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, row, high, wide, stride, count = args[1:7]
        source = data_pointer(context, builder, signature.args[0], args[0], at)
        out = data_pointer(context, builder, signature.args[7], args[7], args[8])

        def body(writer: _Writer, o: Any, _lanes: int) -> None:
            total = cgutils.alloca_once_value(builder, writer.zero())
            start = writer.at(source, builder.mul(o, stride))
            with cgutils.for_range(builder, high) as rows:
                line = builder.mul(rows.index, row)
                with cgutils.for_range(builder, wide) as columns:
                    values = writer.load_column(writer.at(start, builder.add(line, columns.index)))
                    builder.store(builder.fadd(builder.load(total), values), total)
            writer.store(builder.load(total), writer.at(out, o))

        _each_run(builder, dtype, stride, count, body)
        return context.get_dummy_value()

    return signature, codegen

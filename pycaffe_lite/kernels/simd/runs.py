"""Maxima and sums over the windows of neighbouring outputs: the innermost loops of pooling, as vectors.

Outputs o, o + 1, .. of one row read x[.., o * stride + j]. With stride 1, a vector of outputs takes its j-th
values from one vector of x; with stride 2, it takes every other value of two vectors. The last vector of a
run ends where the run ends and overlaps the one before it: nothing is read or written beyond the run, and no
value is left over for a slower loop. Runs that are shorter than a vector take a narrower one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import INT32, INT64, item_bytes, target
from pycaffe_lite.kernels.simd.vectors import VectorWriter, data_pointer, each_time

LEAST_RUN = 4  # outputs in the narrowest vector


class RunWriter(VectorWriter):
    """Writes code for vectors of values or indices, and loads a window's column for neighbouring outputs."""

    def __init__(self, builder: Any, dtype: Any, lanes: int, stride: Any) -> None:
        super().__init__(builder, dtype, lanes)
        self.stride = stride
        self.indices = ir.VectorType(INT32, lanes)

    def load_column(self, pointer: Any) -> Any:
        """Load pointer[0], pointer[stride], .. for `lanes` outputs; the stride is 1 or 2."""
        builder, lanes = self.builder, self.lanes
        with builder.if_else(builder.icmp_signed("==", self.stride, INT64(1))) as (dense, sparse):
            with dense:
                one = self.load(pointer)
                from_dense = builder.basic_block
            with sparse:
                # The second vector starts one value early, so that nothing beyond the last value is read.
                first, second = self.load(pointer), self.load(self.at(pointer, lanes - 1))
                even = [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)]
                every_other = self.shuffle(first, second, even)
                from_sparse = builder.basic_block
        values = builder.phi(self.vector)
        values.add_incoming(one, from_dense)
        values.add_incoming(every_other, from_sparse)
        return values

    def load_columns(self, pointer: Any, wide: int) -> list[Any]:
        """Load two or three columns that follow each other, for stride 2, with half the loads."""
        lanes = self.lanes
        low, high = self.load(pointer), self.load(self.at(pointer, lanes))
        first, second = (self.shuffle(low, high, [*range(i, 2 * lanes, 2)]) for i in (0, 1))
        if wide == 2:
            return [first, second]
        end = self.load(self.at(pointer, lanes + 1))
        return [first, second, self.shuffle(first, end, [*range(1, lanes), 2 * lanes - 1])]

    def interleaved(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Return a[0], b[0], a[1], b[1], .. as two vectors."""
        pairs = [lane for i in range(self.lanes) for lane in (i, self.lanes + i)]
        return self.shuffle(a, b, pairs[: self.lanes]), self.shuffle(a, b, pairs[self.lanes :])

    def splat_index(self, value: Any) -> Any:
        """Return a vector with one int32 in all lanes."""
        undefined = ir.Constant(self.indices, ir.Undefined)
        first = self.builder.insert_element(undefined, value, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def first_indices(self, start: Any) -> Any:
        """Return start, start + stride, ..: the indices of the first values of the outputs' windows."""
        builder = self.builder
        count = ir.Constant(self.indices, list(range(self.lanes)))
        steps = builder.mul(count, self.splat_index(builder.trunc(self.stride, INT32)))
        return builder.add(steps, self.splat_index(builder.trunc(start, INT32)))


Body = Callable[[RunWriter, Any, Any], None]  # (writer, row, first of a vector of outputs)
ONE = INT64(1)


def _each_run(builder: Any, dtype: Any, stride: Any, count: Any, body: Body, rows: Any = ONE) -> None:
    """Write loops that run the body for all rows and outputs, with the widest vector that a row fills."""
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
        writer = RunWriter(builder, dtype, lanes, stride)
        vectors = builder.sdiv(builder.add(count, INT64(lanes - 1)), INT64(lanes))
        last = builder.sub(count, INT64(lanes))
        with cgutils.for_range(builder, rows) as row, cgutils.for_range(builder, vectors) as vector:
            at = builder.mul(vector.index, INT64(lanes))
            o = builder.select(builder.icmp_signed("<", at, last), at, last)
            body(writer, row.index, o)
        builder.branch(done)
        builder.position_at_end(narrower)
    builder.branch(done)
    builder.position_at_end(done)


Best = tuple[Any, Any]  # a vector of maxima, and one of their indices, or None if these are not wanted


class _Maxima(NamedTuple):
    """Writes code for the maxima over windows; the pointers and numbers are those of `max_rows`."""

    builder: Any
    source: Any
    row: Any
    high: Any
    wide: Any
    stride_h: Any
    count: Any
    lowest: Any
    out: Any
    index_out: Any  # or None
    index_at: Any
    index_row: Any

    def start_of(self, writer: RunWriter, p: Any, o: Any) -> tuple[Any, Any, Best]:
        """Return a pointer to the first window, the windows' first indices, and the initial maxima."""
        builder = self.builder
        line, from_start = builder.mul(p, self.stride_h), builder.mul(o, writer.stride)
        start = writer.at(writer.at(self.source, builder.mul(line, self.row)), from_start)
        if self.index_out is None:
            return start, None, (writer.splat(self.lowest), None)
        place = builder.add(self.index_at, builder.mul(line, self.index_row))
        first = writer.first_indices(builder.add(place, from_start))
        return start, first, (writer.splat(self.lowest), writer.splat_index(INT32(-1)))

    def better(self, writer: RunWriter, values: Any, first: Any, i: Any, j: Any, best: Best) -> Best:
        """Return the maxima of `best` and of line i, column j of the windows. first: their first indices."""
        builder = self.builder
        above = builder.fcmp_ordered(">", values, best[0])
        maxima = builder.select(above, values, best[0])
        if self.index_out is None:
            return maxima, None
        offset = builder.trunc(builder.add(builder.mul(i, self.index_row), j), INT32)
        here = builder.add(first, writer.splat_index(offset))
        return maxima, builder.select(above, here, best[1])

    def finish(self, writer: RunWriter, p: Any, o: Any, best: Best) -> None:
        """Store the maxima of outputs o, o + 1, .. of row p."""
        place = self.builder.add(self.builder.mul(p, self.count), o)
        writer.store(best[0], writer.at(self.out, place))
        if self.index_out is not None:
            writer.store(best[1], writer.at(self.index_out, place))

    def any_window(self, writer: RunWriter, p: Any, o: Any) -> None:
        """Write code for windows of any size, with loops over their lines and columns."""
        builder = self.builder
        start, first, lows = self.start_of(writer, p, o)
        held = [cgutils.alloca_once_value(builder, low) for low in lows if low is not None]

        def best_so_far() -> Best:
            values = [builder.load(place) for place in held]
            return values[0], values[1] if len(values) > 1 else None

        with each_time(builder, self.high) as i, each_time(builder, self.wide) as j:
            values = writer.load_column(writer.at(start, builder.add(builder.mul(i, self.row), j)))
            after = self.better(writer, values, first, i, j, best_so_far())
            for value, place in zip(after, held, strict=False):
                builder.store(value, place)
        self.finish(writer, p, o, best_so_far())

    def usual_window(self, writer: RunWriter, p: Any, o: Any, size: int) -> None:
        """Write code for size x size windows with stride 2: without loops, and with fewer loads."""
        start, first, best = self.start_of(writer, p, o)
        for i in range(size):
            line = writer.at(start, self.builder.mul(INT64(i), self.row))
            for j, values in enumerate(writer.load_columns(line, size)):
                best = self.better(writer, values, first, INT64(i), INT64(j), best)
        self.finish(writer, p, o, best)


@intrinsic
def max_rows(
    _context: Any, x: Any, at: Any, row: Any, high: Any, wide: Any, stride_h: Any, stride: Any, rows: Any,
    count: Any, lowest: Any, y: Any, to: Any, index: Any, index_at: Any, index_row: Any,
) -> Any:  # fmt: skip
    """y[to + p count + o] = max over i < high, j < wide of x[at + (p stride_h + i) row + o stride + j].

    This is for outputs o < count of rows p < rows, and y is at least `lowest`. Unless index is None,
    index[to + p count + o] = index_at + (p stride_h + i) index_row + o stride + j for the first maximum in
    the order of i and j, or -1 if no value is above `lowest`. stride: 1 or 2; count: LEAST_RUN or more.
    """
    dtype, indexed = x.dtype, not isinstance(index, types.NoneType)
    n = types.intp
    signature = types.void(x, n, n, n, n, n, n, n, n, dtype, y, n, index, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row, high, wide, stride_h, stride, rows, count, lowest = args[2:10]

        def pointer(array: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[array], args[array], offset)

        source, out = pointer(0, args[1]), pointer(10, args[11])
        index_out = pointer(12, args[11]) if indexed else None
        sizes = row, high, wide, stride_h, count, lowest
        maxima = _Maxima(builder, source, *sizes, out, index_out, *args[13:])
        done = builder.append_basic_block("windows.done")
        of_two = builder.icmp_signed("==", stride, INT64(2))
        for size in (2, 3):
            square = builder.and_(*(builder.icmp_signed("==", side, INT64(size)) for side in (high, wide)))
            with builder.if_then(builder.and_(of_two, square)):
                _each_run(builder, dtype, stride, count, partial(maxima.usual_window, size=size), rows)
                builder.branch(done)
        _each_run(builder, dtype, stride, count, maxima.any_window, rows)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add_lines(_context: Any, x: Any, at: Any, line: Any, lines: Any, count: Any, y: Any, to: Any) -> Any:
    """y[to + o] = sum over i < lines of x[at + i * line + o], for o < count. count: LEAST_RUN or more."""
    size = types.intp
    signature = types.void(x, size, size, size, size, y, size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line, lines, count = args[2:5]
        source = data_pointer(context, builder, signature.args[0], args[0], args[1])
        out = data_pointer(context, builder, signature.args[5], args[5], args[6])

        def body(writer: RunWriter, _row: Any, o: Any) -> None:
            total = cgutils.alloca_once_value(builder, writer.zero())
            start = writer.at(source, o)
            with each_time(builder, lines) as i:
                values = writer.load(writer.at(start, builder.mul(i, line)))
                builder.store(builder.fadd(builder.load(total), values), total)
            writer.store(builder.load(total), writer.at(out, o))

        _each_run(builder, x.dtype, INT64(1), count, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def mean_run(
    _context: Any, x: Any, at: Any, wide: Any, stride: Any, count: Any, high: Any, widths: Any,
    y: Any, to: Any,
) -> Any:  # fmt: skip
    """y[to + o] = (sum over j < wide of x[at + o * stride + j]) / (high * widths[o]), for o < count.

    stride: 1 or 2; count: LEAST_RUN or more.
    """
    size = types.intp
    signature = types.void(x, size, size, size, size, x.dtype, widths, y, size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, wide, stride, count, high = args[1:6]
        source = data_pointer(context, builder, signature.args[0], args[0], at)
        areas = data_pointer(context, builder, signature.args[6], args[6], INT64(0))
        out = data_pointer(context, builder, signature.args[7], args[7], args[8])

        def body(writer: RunWriter, _row: Any, o: Any) -> None:
            total = cgutils.alloca_once_value(builder, writer.zero())
            start = writer.at(source, builder.mul(o, stride))
            with each_time(builder, wide) as j:
                values = writer.load_column(writer.at(start, j))
                builder.store(builder.fadd(builder.load(total), values), total)
            area = builder.fmul(writer.splat(high), writer.load(writer.at(areas, o)))
            writer.store(builder.fdiv(builder.load(total), area), writer.at(out, o))

        _each_run(builder, x.dtype, stride, count, body)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def spread_run(
    _context: Any, x: Any, at: Any, first: Any, second: Any, stride: Any, count: Any, y: Any, to: Any
) -> Any:
    """y[to + o * stride] = sum over i < first of x[at + o - i], for o < count.

    With stride 2, y[to + 2 o + 1] is the same sum over i < second; with stride 1, `second` is ignored.
    stride: 1 or 2; count: LEAST_RUN or more.
    """
    size = types.intp
    signature = types.void(x, size, size, size, size, size, y, size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, first, second, stride, count = args[1:6]
        source = data_pointer(context, builder, signature.args[0], args[0], at)
        out = data_pointer(context, builder, signature.args[6], args[6], args[7])

        def body(writer: RunWriter, _row: Any, o: Any) -> None:
            def sum_back(terms: Any) -> Any:
                total = cgutils.alloca_once_value(builder, writer.zero())
                with each_time(builder, terms) as i:
                    values = writer.load(writer.at(source, builder.sub(o, i)))
                    builder.store(builder.fadd(builder.load(total), values), total)
                return builder.load(total)

            even = sum_back(first)
            with builder.if_else(builder.icmp_signed("==", stride, INT64(1))) as (dense, sparse):
                with dense:
                    writer.store(even, writer.at(out, o))
                with sparse:
                    low, high = writer.interleaved(even, sum_back(second))
                    place = writer.at(out, builder.mul(o, stride))
                    writer.store(low, place)
                    writer.store(high, writer.at(place, writer.lanes))

        _each_run(builder, x.dtype, stride, count, body)
        return context.get_dummy_value()

    return signature, codegen

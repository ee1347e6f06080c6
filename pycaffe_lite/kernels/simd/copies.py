"""Copies of runs of numbers, made in whole vectors."""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import (
    CACHE_LINE,
    INT64,
    item_bytes,
    target,
)
from pycaffe_lite.kernels.simd.vectors import (
    VectorWriter,
    data_pointer,
    each_time,
)


def _copying_every(stride: int, source: Any, out: Any) -> tuple[Any, Any]:
    """Return the signature and code generator of the two intrinsics below. stride: a power of two."""
    n = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])

        def copy(i: Any) -> None:
            first = writer.at(read, builder.mul(i, INT64(stride)))
            vectors = [writer.load(writer.at(first, v * writer.lanes)) for v in range(stride)]
            while len(vectors) > 1:  # drop every second number until one in `stride` is left
                pairs = zip(vectors[::2], vectors[1::2], strict=True)
                vectors = [writer.every_second(*pair) for pair in pairs]
            writer.store(vectors[0], writer.at(write, i))

        writer.each_vector(args[4], copy)
        return context.get_dummy_value()

    return types.void(source, n, out, n, n), codegen


@intrinsic
def copy_every_second(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to + i] = source[at + 2 i] for i < count. Reads and writes whole vectors, as `copy_run` does."""
    return _copying_every(2, source, out)


@intrinsic
def copy_every_fourth(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to + i] = source[at + 4 i] for i < count. Reads and writes whole vectors, as `copy_run` does."""
    return _copying_every(4, source, out)


@intrinsic
def copy_exact(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count]. Reads and writes nothing else."""
    n = types.intp
    signature = types.void(source, n, out, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        whole = builder.and_(args[4], INT64(-writer.lanes))
        writer.each_vector(
            whole, lambda i: writer.store(writer.load(writer.at(read, i)), writer.at(write, i))
        )
        with builder.if_then(builder.icmp_signed("<", whole, args[4])):
            mask = writer.first_lanes(builder.sub(args[4], whole))
            value = writer.load_first(writer.at(read, whole), mask)
            writer.store_first(value, writer.at(write, whole), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_memory(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count], by C's memcpy, which is the fastest for long runs."""
    signature = types.void(source, types.intp, out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, write, read, args[4], item_bytes(source.dtype))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def zero_run(_context: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = 0. Writes whole vectors, and thus beyond the run as `copy_run` does."""
    signature = types.void(out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, out.dtype, target().lanes(item_bytes(out.dtype)))
        write = data_pointer(context, builder, signature.args[0], args[0], args[1])
        writer.each_vector(args[2], lambda i: writer.store(writer.zero(), writer.at(write, i)))
        return context.get_dummy_value()

    return signature, codegen


def _load_rows(writer: VectorWriter, read: Any, row_stride: Any, rows: Any) -> list[Any]:
    """Load a vector from each of `lanes` rows, of which those from number `rows` on repeat the first."""
    builder, loaded = writer.builder, []
    for r in range(writer.lanes):
        row = builder.select(builder.icmp_signed("<", INT64(r), rows), INT64(r), INT64(0))
        loaded.append(writer.load(writer.at(read, builder.mul(row, row_stride))))
    return loaded


@intrinsic
def transpose_runs(_context: Any, a: Any, at: Any, row_stride: Any, rows: Any, out: Any, to: Any,
                   out_stride: Any) -> Any:  # fmt: skip
    """out[to + k * out_stride + r] = a[at + r * row_stride + k] for r < rows <= lanes, k < lanes.

    Writes whole vectors, in the order of k: the `lanes - rows` numbers after each run become arbitrary.
    """
    n = types.intp
    signature = types.void(a, n, n, n, out, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        for k, column in enumerate(writer.transpose(_load_rows(writer, read, args[2], args[3]))):
            writer.store(column, writer.at(write, builder.mul(args[6], INT64(k))))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transpose_exact(_context: Any, a: Any, at: Any, row_stride: Any, rows: Any, out: Any, to: Any,
                    out_stride: Any, count: Any) -> Any:  # fmt: skip
    """out[to + k * out_stride + r] = a[at + r * row_stride + k] for r < rows <= lanes, k < count <= lanes.

    Writes nothing else, but reads whole vectors of a.
    """
    n = types.intp
    signature = types.void(a, n, n, n, out, n, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        columns = writer.transpose(_load_rows(writer, read, args[2], args[3]))
        mask = writer.first_lanes(args[3])
        for k, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", INT64(k), args[7])):
                writer.store_first(column, writer.at(write, builder.mul(args[6], INT64(k))), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_run(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count], in whole vectors.

    Reads and writes up to a vector beyond the run. Both arrays must reach that far, and the caller writes
    what follows the run in `out` afterwards. The arrays are contiguous; offsets count in memory order.
    """
    dtype = source.dtype
    signature = types.void(source, types.intp, out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        writer.each_vector(
            args[4], lambda i: writer.store(writer.load(writer.at(read, i)), writer.at(write, i))
        )
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_lines(_context: Any, source: Any, at: Any, width: Any, lines: Any, out: Any, to: Any, line: Any,
               first: Any) -> Any:  # fmt: skip
    """out[to + r * line + first + w] = source[at + r * width + w] for r < lines, w < width.

    A line of `out` has `line` numbers. The others of these become 0, and what does not fit into a line is
    left out. Reads nothing else, but writes whole vectors: beyond the last line as `copy_run` does beyond a
    run.
    """
    n = types.intp
    signature = types.void(source, n, n, n, out, n, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        width, lines, line, first = args[2], args[3], args[6], args[7]
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        last = builder.and_(builder.sub(line, INT64(1)), INT64(-writer.lanes))

        def copy_column(i: Any) -> None:
            # From the last vector of each line, which reaches into the next line, back to the first.
            u = builder.sub(last, i)
            w = builder.sub(u, first)
            mask = writer.lanes_between(w, width)

            def copy(load: Callable[[Any], Any]) -> None:
                with each_time(builder, lines) as r:
                    value = load(writer.at(read, builder.add(builder.mul(r, width), w)))
                    writer.store(value, writer.at(write, builder.add(builder.mul(r, line), u)))

            begins = builder.icmp_signed(">=", w, INT64(0))
            ends = builder.icmp_signed("<=", builder.add(w, INT64(writer.lanes)), width)
            with builder.if_else(builder.and_(begins, ends)) as (then, otherwise):
                with then:
                    copy(writer.load)
                with otherwise:
                    copy(lambda place: writer.load_first(place, mask))

        writer.each_vector(line, copy_column)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def bring_near(_context: Any, x: Any, start: Any, count: Any) -> Any:
    """Prefetch the cache lines of x[start : start + count] into the L2 cache; they may lie beyond the array.

    The CPU prefetches by itself what follows in a page, but not the next page, nor where results will go.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, x.dtype, CACHE_LINE // item_bytes(x.dtype))
        first = data_pointer(context, builder, signature.args[0], args[0], args[1])
        writer.each_vector(args[2], lambda i: writer.prefetch(writer.at(first, i), level=2))
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen

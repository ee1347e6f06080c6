"""The transforms of Winograd's algorithm F(2x2, 3x3), a vector of tiles or of output channels at a time.

With

        1  0 -1  0           1    0    0
    B = 0  1  1  0     G =  1/2  1/2  1/2     A = 1  1  1  0
        0 -1  1  0          1/2 -1/2  1/2         0  1 -1 -1
        0  1  0 -1           0    0    1

the 2x2 results of 3x3 weights w and 4x4 pixels d are A ((G w G') * (B d B')) A', where * multiplies number by
number and ' transposes. In one dimension, with two results of three weights and four pixels, that is

    y0 = (d0 - d2) w0 + (d1 + d2) (w0 + w1 + w2) / 2 + (d2 - d1) (w0 - w1 + w2) / 2
    y1 =                (d1 + d2) (w0 + w1 + w2) / 2 - (d2 - d1) (w0 - w1 + w2) / 2 - (d1 - d3) w2

with 4 products in place of 6. (F(4x4, 3x3), a quarter of the products, errs ten times as much.)

Reference: A. Lavin, S. Gray, Fast algorithms for convolutional neural networks, 2015.
"""

from functools import reduce
from typing import Any, TypeAlias

from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels._simd import INT64, VectorWriter, data_pointer, item_bytes, target

PLACES = 16  # of a transformed tile or kernel: ξ, row by row

Matrix: TypeAlias = list[list[Any]]

PIXELS_MATRIX: Matrix = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
WEIGHTS_MATRIX: Matrix = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
PRODUCTS_MATRIX: Matrix = [[1, 1, 1, 0], [0, 1, -1, -1]]


def _transformed(w: VectorWriter, matrix: Matrix, rows: Matrix) -> Matrix:
    """Matrix times rows, whose entries are vectors. Each line of the matrix has a positive factor.

    Adds and subtracts where factors are ±1.
    """
    builder, results = w.builder, []
    for factors in matrix:
        line = []
        for column in range(len(rows[0])):
            total = None
            for factor, row in sorted(zip(factors, rows, strict=True), key=lambda pair: -pair[0]):
                value = row[column]
                if factor == 0:
                    continue
                if factor not in (1, -1):
                    value = builder.fmul(w.constant(abs(factor)), value)
                if total is None:
                    total = value
                else:
                    total = builder.fadd(total, value) if factor > 0 else builder.fsub(total, value)
            line.append(total)
        results.append(line)
    return results


def _both_sides(w: VectorWriter, matrix: Matrix, square: Matrix) -> Matrix:
    """Matrix times square times the transpose of matrix."""
    half = _transformed(w, matrix, square)
    return _turned(_transformed(w, matrix, _turned(half)))


def _turned(square: Matrix) -> Matrix:
    return [list(row) for row in zip(*square, strict=True)]


@intrinsic
def weights_transform(
    _context: Any, a: Any, at: Any, stride: Any, out: Any, to: Any, place_stride: Any
) -> Any:
    """out[to + ξ * place_stride + l] = (G w G')[ξ], w[t] = a[at + t * stride + l], for each lane l."""
    n = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        w = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[3], args[3], args[4])
        square = [
            [w.load(w.at(read, builder.mul(args[2], INT64(3 * i + j)))) for j in range(3)] for i in range(3)
        ]
        for i, row in enumerate(_both_sides(w, WEIGHTS_MATRIX, square)):
            for j, value in enumerate(row):
                w.store(value, w.at(write, builder.mul(args[5], INT64(4 * i + j))))
        return context.get_dummy_value()

    return types.void(a, n, n, out, n, n), codegen


@intrinsic
def pixels_transform(
    _context: Any, x: Any, at: Any, height: Any, width: Any, h: Any, w: Any, out: Any, to: Any,
    place_stride: Any,
) -> Any:  # fmt: skip
    """out[to + ξ * place_stride + l] = (B d B')[ξ], d[i, j] = plane[h + i, w + 2 l + j], for each lane l.

    plane: height x width numbers at x[at], zeros around them; nothing else is read.
    """
    n = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, x.dtype, target().lanes(item_bytes(x.dtype)))
        _, _, height, width, h, w, _, _, place_stride = args
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[6], args[6], args[7])
        starts = [builder.add(w, INT64(shift + half)) for shift in (0, 2) for half in (0, writer.lanes)]

        def transform(inside: bool) -> None:
            square = []
            for i in range(4):
                row = builder.add(h, INT64(i))
                there = builder.icmp_unsigned("<", row, height)
                limit = builder.select(there, width, INT64(0))
                vectors = []
                for start in starts:
                    pointer = writer.at(read, builder.add(builder.mul(row, width), start))
                    if inside:
                        vectors.append(writer.load(pointer))
                    else:
                        vectors.append(writer.load_first(pointer, writer.lanes_between(start, limit)))
                pairs = (vectors[0], vectors[1]), (vectors[2], vectors[3])
                square.append([writer.every_second(a, b, first) for a, b in pairs for first in (0, 1)])
            for i, results in enumerate(_both_sides(writer, PIXELS_MATRIX, square)):
                for j, value in enumerate(results):
                    writer.store(value, writer.at(write, builder.mul(place_stride, INT64(4 * i + j))))

        last_row, last = builder.add(h, INT64(3)), builder.add(w, INT64(2 * writer.lanes + 1))
        places = (h, height), (last_row, height), (w, width), (last, width)
        tests = [builder.icmp_unsigned("<", place, size) for place, size in places]
        with builder.if_else(reduce(builder.and_, tests)) as (inside, at_edge):
            with inside:
                transform(True)
            with at_edge:  # loads by masks take long on some CPUs
                transform(False)
        return context.get_dummy_value()

    return types.void(x, n, n, n, n, n, out, n, n), codegen


@intrinsic
def products_transform(
    _context: Any, a: Any, at: Any, place_stride: Any, scale: Any, start: Any, first: Any, slope: Any,
    out: Any, to: Any, column_stride: Any, row_stride: Any,
) -> Any:  # fmt: skip
    """out[to + i * row_stride + j * column_stride + l] = act(scale[first + l] r[i, j] + start[first + l]).

    For each lane l: r = A p A', p[ξ] = a[at + ξ * place_stride + l]; act(v) = v if v > 0 else slope * v.
    """
    n = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        w = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        _, _, place_stride, _, _, first, slope, _, _, column_stride, row_stride = args
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        factor = w.load(data_pointer(context, builder, signature.args[3], args[3], first))
        shift = w.load(data_pointer(context, builder, signature.args[4], args[4], first))
        write = data_pointer(context, builder, signature.args[7], args[7], args[8])
        square = [
            [w.load(w.at(read, builder.mul(place_stride, INT64(4 * i + j)))) for j in range(4)]
            for i in range(4)
        ]
        slopes = w.splat(slope)
        for i, row in enumerate(_both_sides(w, PRODUCTS_MATRIX, square)):
            for j, value in enumerate(row):
                total = w.multiply_add(factor, value, shift)
                positive = builder.fcmp_ordered(">", total, w.zero())
                total = builder.select(positive, total, builder.fmul(slopes, total))
                place = builder.add(builder.mul(row_stride, INT64(i)), builder.mul(column_stride, INT64(j)))
                w.store(total, w.at(write, place))
        return context.get_dummy_value()

    return types.void(a, n, n, scale, start, n, a.dtype, out, n, n, n), codegen

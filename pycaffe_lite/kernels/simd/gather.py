"""The gradient of max pooling, gathered pixel by pixel instead of scattered window by window.

With windows of 2x2 or 3x3 and stride 2, at most four windows cover a pixel. For a block of 2 rows and
2 LANES columns, the indices of all windows that may name a pixel are compared with it, a vector at a time.
The block stays in registers and is stored once; nothing has to be set to zero first or read back.

Windows are read in the order of memory: the last one of a row is followed by the first of the next row, and
the last of a plane by the first of the next plane. These are compared as if they were neighbours. They cover
no pixel of the block and therefore name none, as long as there are two windows along each axis.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import INT32, INT64
from pycaffe_lite.kernels.simd.runs import RunWriter
from pycaffe_lite.kernels.simd.vectors import data_pointer

STRIDE = 2
LANES = 8  # of either type. Wider vectors would exclude more planes, and repeat more work at their ends.


def _covered(kernel: int, phase: int) -> dict[int, list[int]]:
    """Return which of a block's pixels 0 and 1, along one axis, each window covers.

    The block starts at pixel STRIDE k + phase, counted with the padding. The keys are the windows' numbers
    less k, ascending.
    """
    covered = {k: [i for i in range(STRIDE) if 0 <= phase + i - STRIDE * k < kernel] for k in (-1, 0, 1)}
    return {k: pixels for k, pixels in covered.items() if pixels}


def _gather_block(
    writer: RunWriter, dy: Any, index: Any, row: Any, kernel: int, phases: tuple[int, int],
    dx: Any, at: Any, W: Any,
) -> None:  # fmt: skip
    """Write the code for a block of dx that begins at `at`, in rows of W pixels.

    dy, index: pointers to the window k along both axes, see `_covered`; windows are in rows of `row`.
    """
    builder = writer.builder
    lines = [at, builder.add(at, W)]
    first = [writer.first_indices(line) for line in lines]
    places = [[line, builder.add(line, writer.splat_index(INT32(1)))] for line in first]
    totals = [[writer.zero(), writer.zero()] for _ in lines]
    for p, rows in _covered(kernel, phases[0]).items():
        for q, columns in _covered(kernel, phases[1]).items():
            window = builder.add(builder.mul(row, INT64(p)), INT64(q))
            named = writer.load(writer.at(index, window), writer.indices)
            values = writer.load(writer.at(dy, window))
            for r in rows:
                for c in columns:
                    here = builder.icmp_signed("==", named, places[r][c])
                    more = builder.fadd(totals[r][c], values)
                    totals[r][c] = builder.select(here, more, totals[r][c])
    for line, total in zip(lines, totals, strict=True):
        low, high = writer.interleaved(*total)
        writer.store(low, writer.at(dx, line))
        writer.store(high, writer.at(dx, builder.add(line, INT64(LANES))))


@contextmanager
def _each_block(builder: Any, pixels: Any, block: int) -> Iterator[Any]:
    """Write a loop over the starts of blocks along an axis, of which the last one ends at the last pixel."""
    blocks = builder.sdiv(builder.add(pixels, INT64(block - 1)), INT64(block))
    last = builder.sub(pixels, INT64(block))
    with cgutils.for_range(builder, blocks) as loop:
        start = builder.mul(loop.index, INT64(block))
        yield builder.select(builder.icmp_signed("<", start, last), start, last)


def _by_parity(builder: Any, number: Any, body: Callable[[int], None]) -> None:
    """Write body(1) for odd numbers and body(0) for even ones."""
    with builder.if_else(builder.trunc(number, cgutils.bool_t)) as (odd, even):
        with odd:
            body(1)
        with even:
            body(0)


@intrinsic
def gather_plane(
    _context: Any, dy: Any, index: Any, at: Any, row: Any, kernel: Any, pad_h: Any, pad_w: Any,
    dx: Any, to: Any, H: Any, W: Any,
) -> Any:  # fmt: skip
    """dx[to + pixel] = the sum of dy[at + o] over the windows o of a plane for which index[at + o] = pixel.

    A pixel is h * W + w. The windows, in rows of `row`, are 2x2 or 3x3, as `kernel` says, with stride 2. An
    index is that of a pixel in the window, or -1. There are at least 2 windows and 2 pixels along each axis,
    and W >= 2 LANES. Reads dy and index from at - row - 1 up to at + (H + pad_h) // 2 * row + (W + pad_w) //
    2.
    """
    n = types.intp
    signature = types.void(dy, index, n, n, n, n, n, dx, n, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at, row, kernel, pad_h, pad_w = args[2:7]
        H, W = args[9:]
        source = data_pointer(context, builder, signature.args[0], args[0], at)
        indices = data_pointer(context, builder, signature.args[1], args[1], at)
        out = data_pointer(context, builder, signature.args[7], args[7], args[8])
        writer = RunWriter(builder, dy.dtype, LANES, INT64(STRIDE))

        def gather(kernel: int) -> None:
            with _each_block(builder, H, 2) as h, _each_block(builder, W, 2 * LANES) as w:
                top, left = builder.add(h, pad_h), builder.add(w, pad_w)
                p, q = builder.ashr(top, INT64(1)), builder.ashr(left, INT64(1))
                window = builder.add(builder.mul(p, row), q)
                values, named = writer.at(source, window), writer.at(indices, window)
                block = builder.add(builder.mul(h, W), w)

                def gather_block(i: int, j: int) -> None:
                    _gather_block(writer, values, named, row, kernel, (i, j), out, block, W)

                _by_parity(builder, top, lambda i: _by_parity(builder, left, lambda j: gather_block(i, j)))

        with builder.if_else(builder.icmp_signed("==", kernel, INT64(2))) as (two, three):
            with two:
                gather(2)
            with three:
                gather(3)
        return context.get_dummy_value()

    return signature, codegen

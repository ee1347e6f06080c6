"""The gradient of maxima, gathered place by place instead of scattered window by window.

With windows of 2x2 or 3x3 and stride 2, four windows at most hold any place of a block of 2 rows and
2 LANES columns. The indices of all windows that may name a place are compared with it, a vector at a time;
the block stays in registers and is stored once. Nothing is set to zero, read back or waited for.

Windows are read in the order of memory: beside the last one of a row stands the first of the next, and
beside the last of a plane the first of the next plane. They are compared as if they were neighbours: they
hold no place of the block, so that they name none, as long as there are two windows along each axis.
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
LANES = 8  # of either type; wider vectors leave too many planes to be scattered, or do much twice


def _held_places(kernel: int, phase: int) -> dict[int, list[int]]:
    """Which of a block's places 0 and 1, along one axis, a window holds.

    The block starts at STRIDE k + phase, padding counted. Keys: the window's number less k, ascending.
    """
    held = {k: [i for i in range(STRIDE) if 0 <= phase + i - STRIDE * k < kernel] for k in (-1, 0, 1)}
    return {k: places for k, places in held.items() if places}


def _gather_block(
    writer: RunWriter, dy: Any, index: Any, row: Any, kernel: int, phases: tuple[int, int],
    dx: Any, at: Any, W: Any,
) -> None:  # fmt: skip
    """Write a block of dx, from `at` on in rows of W.

    dy, index: pointers to window (k, k) of `_held_places`; windows are in rows of `row`.
    """
    builder = writer.builder
    lines = [at, builder.add(at, W)]
    first = [writer.first_indices(line) for line in lines]
    places = [[line, builder.add(line, writer.splat_index(INT32(1)))] for line in first]
    totals = [[writer.zero(), writer.zero()] for _ in lines]
    for p, rows in _held_places(kernel, phases[0]).items():
        for q, columns in _held_places(kernel, phases[1]).items():
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
def _each_block(builder: Any, places: Any, block: int) -> Iterator[Any]:
    """Write a loop over the starts of blocks along an axis; the last one ends where the places end."""
    blocks = builder.sdiv(builder.add(places, INT64(block - 1)), INT64(block))
    last = builder.sub(places, INT64(block))
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
    """dx[to + place] = the sum of dy[at + o] over the windows o of a plane with index[at + o] = place.

    place: h * W + w. The windows, in rows of `row`, are 2x2 or 3x3, after `kernel`, with stride 2. An index
    is of a place in the window, or -1. At least 2 windows and 2 places along each axis, W >= 2 LANES.
    Reads dy and index from at - row - 1 up to at + (H + pad_h) // 2 * row + (W + pad_w) // 2.
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

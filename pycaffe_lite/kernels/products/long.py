"""Products with many terms, computed a piece of the terms at a time; float64 adds up the pieces' results.

Within a piece, each algorithm keeps its sums in the arrays' type (see `simd.sums`).
"""

from collections.abc import Callable

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_piece, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory, scratch

LONG = 32768  # terms of a piece; published nets have up to 25,088 in one product (VGG's fc6)


def is_long(channels: int, taps: int = 1, most: int = LONG) -> bool:
    """Whether a sum over channels with `taps` taps each is cut into pieces, which are whole channels."""
    return channels > 1 and channels * taps > most


def add_pieces(
    multiply: Callable[[int, int, Array], None], channels: int, taps: int, y: Array, start: Array,
    scale: Array, slope: float, accumulate: bool = False, most: int = LONG,
) -> None:  # fmt: skip
    """Compute y[n, m; j] = act(first + scale[m] * sum over all pieces of what `multiply` gives).

    Args:
        multiply: called with the first channel of a piece, the last + 1 and an array of y's shape, which it
            overwrites with the sum over these channels.
        channels: how many there are. taps: of each.
        y: contiguous; its second axis is as long as start.
        start: (M,). first is y[n, m; j] if accumulate, else start[m].
        scale: (M,), or empty for 1.
        slope: act(v) = v if v > 0 else slope * v.
        accumulate: see start.
        most: terms of a piece.
    """
    count = min(channels, -(-channels * taps // most))
    totals = scratch("totals", np.dtype(np.float64), y.size)
    part = scratch("part of the terms", y.dtype, y.size)
    for i in range(count):
        multiply(i * channels // count, (i + 1) * channels // count, part.reshape(y.shape))
        _add(no_memory(y.dtype), part, totals, i == 0)
    plane = y.size // (y.shape[0] * start.size)
    _finish(no_memory(y.dtype), totals, plane, start, scale, float(slope), accumulate, y.reshape(-1))


def columns_of(array: Array, rows: int, first: int, end: int, purpose: str) -> Array:
    """Columns first .. end of an array that is read as a matrix of `rows` rows: contiguous and flat.

    The result is valid until the next call for the same purpose.
    """
    if rows == 1:
        return array.reshape(-1)[first:end]
    out = scratch(purpose, array.dtype, rows * (end - first))
    _copy_columns(no_memory(array.dtype), array.reshape(-1), array.size // rows, first, end - first, out)
    return out


@worker_kernel
def _add(part: Array, totals: Array, first: bool, tasks: Tasks, _memory: Array) -> None:
    """totals[i] += part[i], or = part[i] with `first`."""
    start, stop = take_piece(tasks, part.size)
    while start < stop:
        for i in range(start, stop):
            totals[i] = part[i] if first else totals[i] + part[i]
        start, stop = take_piece(tasks, part.size)


@worker_kernel
def _finish(
    totals: Array, plane: int, start: Array, scale: Array, slope: float, accumulate: bool, y: Array,
    tasks: Tasks, _memory: Array,
) -> None:  # fmt: skip
    """As `add_pieces` says; y is flat, a channel of it has `plane` numbers."""
    begin, end = take_piece(tasks, y.size)
    while begin < end:
        for i in range(begin, end):
            m = i // plane % start.size
            value = totals[i] * scale[m] if scale.size > 0 else totals[i]
            value += y[i] if accumulate else start[m]
            y[i] = value if value > 0 else slope * value
        begin, end = take_piece(tasks, y.size)


@worker_kernel
def _copy_columns(
    source: Array, length: int, first: int, count: int, out: Array, tasks: Tasks, _memory: Array
) -> None:
    """out[r * count + i] = source[r * length + first + i] for i < count; a task is a row r."""
    rows = out.size // count
    r = take_task(tasks, rows)
    while r < rows:
        out[r * count : (r + 1) * count] = source[r * length + first : r * length + first + count]
        r = take_task(tasks, rows)

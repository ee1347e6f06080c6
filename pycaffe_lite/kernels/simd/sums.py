"""Long sums, and how their rounding errors stay small.

A float32 sum of n equal terms, one after another, may be off by n roundings, all to the same side: 1e-3 for
100,000 terms. So sums of values (of gradients for a bias, of losses, of what is averaged) are kept in
float64, or in float64 but for some hundred values that share the lanes of a few vectors. Products are added
up in the arrays' type, in vector registers, a few hundred at a time; the sums of such pieces in that type,
too, FOLDED of them, and the sums of these in float64 (`fold`). How a sum is cut depends on its length alone,
never on the number of threads.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel
from pycaffe_lite.kernels.runtime.scratch import scratch
from pycaffe_lite.kernels.simd.vectors import keep_small

FOLDED = 64  # pieces of a product that are added up in the arrays' type
LANES_FILLED = 1024  # values that are: they are shared out among the lanes of some vectors


# The type of an index that is not negative: those that may count from the end keep LLVM from vectors.
unsigned = np.uintp


# reassoc: lets a sum run in vector lanes; the order that this leaves does not depend on threads.
@kernel(fastmath={"reassoc", "nsz"})
def sum_of(x: Array) -> float:
    """Σ x[i], in float64 but for LANES_FILLED values at a time.  x: flat."""
    total = 0.0
    for start in range(0, x.size, LANES_FILLED):
        part = x.dtype.type(0)
        for i in range(unsigned(start), unsigned(min(start + LANES_FILLED, x.size))):
            part += x[i]
        total += part
    return total


def worker_totals(workers: int, count: int) -> Array:
    """Room for so many sums in float64 for each worker, a row each, with any content: (workers, count).

    Kernels that fold get it for long sums, None for all others, and are compiled for either case when it is
    there for the first time: most nets have no long sums, and no time to spend on them at their first start.
    """
    return scratch("totals of workers", np.dtype(np.float64), workers * count).reshape(workers, count)


@kernel
def fold(
    sums: Array, at: int, ld: int, rows: int, columns: int, totals: Array, first: bool, last: bool
) -> None:
    """Add a block of sums, sums[at + i * ld + j] for i < rows, j < columns, to its totals, in float64.

    totals: rows x columns of them, or more, row after row. first: they hold nothing yet. last: they are
    written to where the sums are.
    """
    keep_small()
    for i in range(rows):
        part, total = sums[at + i * ld : at + i * ld + columns], totals[i * columns : (i + 1) * columns]
        for j in range(columns):
            total[j] = part[j] if first else total[j] + part[j]
        if last:
            for j in range(columns):
                part[j] = total[j]

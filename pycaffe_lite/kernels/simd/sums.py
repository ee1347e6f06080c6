"""Long sums, and how their rounding errors stay small.

If n equal terms are added one after another in float32, the sum may be off by n roundings, all to the same
side: by 1e-3 for 100,000 terms. So sums of values (of gradients for a bias, of losses, of what is averaged)
are kept in float64, except that up to LANES_FILLED values are first added up in the lanes of vectors.
Products are added up in vector registers, in the arrays' type, a few hundred at a time. The sums of up to
FOLDED such pieces are added in that type, too, and the sums of these in float64 (`fold`). How a sum is cut
depends on its length alone, never on the number of threads.
"""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, kernel
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.scratch import scratch
from pycaffe_lite.kernels.simd.vectors import keep_small

FOLDED = 64  # how many pieces of a product are added up in the arrays' type
# How many values are added up in the arrays' type, shared out among the lanes of vectors: 64 of float32 for
# each lane.
LANES_FILLED = 16 * target().vector_bytes

# The type of an index that cannot be negative. One that may count from the end keeps LLVM from using vectors.
unsigned = np.uintp


# reassoc: lets a sum run in vector lanes; the order that this leaves does not depend on threads.
@kernel(fastmath={"reassoc", "nsz"})
def sum_of(x: Array) -> float:
    """Σ x[i], in float64, of parts of LANES_FILLED values, which are summed in the type of x.  x: flat."""
    total = 0.0
    for start in range(0, x.size, LANES_FILLED):
        part = x.dtype.type(0)
        for i in range(unsigned(start), unsigned(min(start + LANES_FILLED, x.size))):
            part += x[i]
        total += part
    return total


def worker_totals(workers: int, count: int) -> Array:
    """Return room for float64 sums of arbitrary content, a row for each worker: (workers, count).

    Kernels that fold get it for long sums and None for all others. They are compiled for either case when it
    first occurs: most nets have no long sums, and need not wait for that code at their first start.
    """
    return scratch("totals of workers", np.dtype(np.float64), workers * count).reshape(workers, count)


@kernel
def fold(
    sums: Array, at: int, ld: int, rows: int, columns: int, totals: Array, first: bool, last: bool
) -> None:
    """Add a block of sums, sums[at + i * ld + j] for i < rows and j < columns, to its totals in float64.

    Args:
        totals: at least rows * columns numbers, row after row.
        first: whether the totals hold nothing yet, so that the sums overwrite them.
        last: whether the totals are the results, which then overwrite the sums.
    """
    keep_small()
    for i in range(rows):
        part, total = sums[at + i * ld : at + i * ld + columns], totals[i * columns : (i + 1) * columns]
        for j in range(columns):
            total[j] = part[j] if first else total[j] + part[j]
        if last:
            for j in range(columns):
                part[j] = total[j]

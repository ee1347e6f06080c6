"""Results for several numbers of threads."""

from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads


def same_bits(compute):
    """Whether compute(), which returns arrays, gives the same bits on one, two and three threads."""
    before, bits = get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            bits.add(b"".join(array.tobytes() for array in compute()))
    finally:
        set_num_threads(before)
    return len(bits) == 1

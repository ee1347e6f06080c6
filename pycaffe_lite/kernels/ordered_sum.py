"""The mean of several arrays, added in their order."""

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel

_RUN = 1024  # values added at a time: they stay in the first cache


@kernel
def _add(x: Array, y: Array) -> None:
    for i in range(x.size):
        y[i] += x[i]


@serial_kernel
def mean(others: Array, place: int, y: Array) -> None:
    """y[i] = (x[0][i] + x[1][i] + ...) / N in this order, where x[place] is y as it was.

    others: (N - 1, count), the other arrays in their order; they are written to. y: (count,). Sums are kept
    in the type of y, and multiplied with 1/N, rounded to that type, as Caffe does.
    """
    T = y.dtype.type
    count = others.shape[0] + 1
    scale = T(1) / T(count)
    for start in range(0, y.size, _RUN):
        end = min(start + _RUN, y.size)
        part = y[start:end]
        if place == 0:
            for k in range(count - 1):
                _add(others[k, start:end], part)
        else:
            sums = others[0, start:end]
            for k in range(1, place):
                _add(others[k, start:end], sums)
            _add(part, sums)
            for k in range(place, count - 1):
                _add(others[k, start:end], sums)
            part[:] = sums
        for i in range(part.size):
            part[i] *= scale

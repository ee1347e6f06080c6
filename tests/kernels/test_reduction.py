import numpy as np
import pytest

from pycaffe_lite.kernels import prelu, reduction
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads

FUNCTIONS = {
    reduction.SUM: lambda x: x,
    reduction.ABS_SUM: np.abs,
    reduction.SQUARE_SUM: np.square,
}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, reduction.PART), (2, 2 * reduction.PART + 5), (2, 0)])
def test_sums_of_rows(kind, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    y = np.full(shape[0], np.nan, np.float32)
    reduction.forward(x, kind, 0.5, y)
    assert np.allclose(y, 0.5 * FUNCTIONS[kind](x.astype(np.float64)).sum(1), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_source_does_what_compiled_code_does(kind):
    x = np.random.default_rng(0).normal(size=(2, 5))
    y, right = np.zeros(2), np.zeros(2)
    reduction.forward(x, kind, 2.0, y)
    reduction.forward.py_func(x, kind, 2.0, right)
    assert np.allclose(y, right, rtol=1e-14)
    dx, right = np.zeros_like(x), np.zeros_like(x)
    reduction.backward(x, y, kind, 2.0, dx)
    reduction.backward.py_func(x, y, kind, 2.0, right)
    assert np.array_equal(dx, right)


def test_sums_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(0).normal(size=(1, 100_003)).astype(np.float32)
    before, sums = get_num_threads(), []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            y, slopes = np.zeros(1, np.float32), np.zeros(1, np.float32)
            reduction.forward(x, reduction.SUM, 1.0, y)
            prelu.backward_slope(x.reshape(1, 1, -1), x[::-1].reshape(1, 1, -1), slopes)
            sums.append((y[0], slopes[0]))
    finally:
        set_num_threads(before)
    assert sums[0] == sums[1]

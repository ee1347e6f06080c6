import numpy as np
import pytest

from pycaffe_lite.kernels import prelu


def arrays(*shape):
    return np.random.default_rng(0).normal(size=(3, *shape))


@pytest.mark.parametrize("inner", [1, 5, 4000])
def test_slopes_of_channels(inner):
    x, dy, _ = arrays(2, 3, inner)
    slope = np.array([0.5, -1.0, 2.0])
    y, dx, kept = (np.zeros_like(x) for _ in range(3))
    prelu.forward(x, slope, y)
    prelu.backward_data(x, dy, slope, dx)
    columns = slope.reshape(1, 3, 1)
    assert np.array_equal(y, np.where(x > 0, x, x * columns))
    assert np.array_equal(dx, np.where(x > 0, dy, dy * columns))
    in_place = x.copy()
    prelu.forward(in_place, slope, in_place, kept)
    assert np.array_equal(in_place, y)
    assert np.array_equal(kept, x)
    in_place = dy.copy()
    prelu.backward_data(x, in_place, slope, in_place)
    assert np.array_equal(in_place, dx)


def test_source_does_what_compiled_code_does():
    x, dy, _ = arrays(2, 3, 5)
    for kernel in (lambda f: f, lambda f: f.py_func):
        dslope = np.ones(3)
        kernel(prelu.backward_slope)(x, dy, dslope)
        assert np.allclose(dslope, 1 + np.where(x > 0, 0, x * dy).sum((0, 2)), rtol=1e-12)


def test_one_slope_for_all_channels():
    x, dy, _ = arrays(2, 3, 5)
    dslope = np.zeros(1)
    prelu.backward_slope(x, dy, dslope)
    assert np.allclose(dslope, (x * dy)[x <= 0].sum(), rtol=1e-12)

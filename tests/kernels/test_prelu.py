import numpy as np

from pycaffe_lite.kernels import prelu


def arrays(*shape):
    return np.random.default_rng(0).normal(size=(3, *shape))


def test_source_does_what_compiled_code_does():
    x, dy, _ = arrays(2, 3, 5)
    slope = np.array([0.5, -1.0, 2.0])
    for kernel in (lambda f: f, lambda f: f.py_func):
        y, dx, dslope = np.zeros_like(x), np.zeros_like(x), np.ones(3)
        kernel(prelu.forward)(x, slope, y)
        kernel(prelu.backward_data)(x, dy, slope, dx)
        kernel(prelu.backward_slope)(x, dy, dslope)
        columns = slope.reshape(1, 3, 1)
        assert np.array_equal(y, np.where(x > 0, x, x * columns))
        assert np.array_equal(dx, np.where(x > 0, dy, dy * columns))
        assert np.allclose(dslope, 1 + np.where(x > 0, 0, x * dy).sum((0, 2)), rtol=1e-12)


def test_one_slope_for_all_channels():
    x, dy, _ = arrays(2, 3, 5)
    dslope = np.zeros(1)
    prelu.backward_slope(x, dy, dslope)
    assert np.allclose(dslope, (x * dy)[x <= 0].sum(), rtol=1e-12)

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd import math as _math

FUNCTIONS = {"exp": np.exp, "tanh": np.tanh, "sigmoid": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5}


@serial_kernel
def exp(x, y):
    for i in range(x.size):
        y[i] = _math.exp(x[i])


@serial_kernel
def tanh(x, y):
    for i in range(x.size):
        y[i] = _math.tanh(x[i])


@serial_kernel
def sigmoid(x, y):
    for i in range(x.size):
        y[i] = _math.sigmoid(x[i])


def apply(name, x):
    y = np.empty_like(x)
    {"exp": exp, "tanh": tanh, "sigmoid": sigmoid}[name](x, y)
    return y


@pytest.mark.parametrize("name", ["exp", "tanh"])
@pytest.mark.parametrize("span", [1e-30, 1e-4, 0.7, 3, 87])
def test_float32_is_within_two_units_in_the_last_place(name, span):
    x = np.linspace(-span, span, 200_001).astype(np.float32)
    right = FUNCTIONS[name](x.astype(np.float64))
    error = np.abs(apply(name, x) - right) / np.spacing(np.abs(right).astype(np.float32))
    assert error.max() < 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_is_exact_to_rounding(name):
    x = np.linspace(-50, 50, 1001)
    assert np.allclose(apply(name, x), FUNCTIONS[name](x), rtol=1e-15, atol=1e-16 * (name == "sigmoid"))


def test_sigmoid_of_float32():
    x = np.linspace(-20, 20, 10_001).astype(np.float32)
    assert np.allclose(apply("sigmoid", x), 1 / (1 + np.exp(-x.astype(np.float64))), rtol=0, atol=1e-7)


def test_exp_at_the_ends_of_float32():
    x = np.array([-np.inf, -200, -103.5, -100, -87.5, 88.7, 88.73, 200, np.inf, np.nan], np.float32)
    with np.errstate(over="ignore"):
        right = np.exp(x.astype(np.float64)).astype(np.float32)
    assert np.array_equal(apply("exp", x), right, equal_nan=True)


@pytest.mark.parametrize(("name", "low"), [("tanh", -1), ("sigmoid", 0)])
def test_limits(name, low):
    x = np.array([-np.inf, -200, 200, np.inf, np.nan], np.float32)
    assert np.array_equal(apply(name, x), [low, low, 1, 1, np.nan], equal_nan=True)


def test_result_does_not_depend_on_the_place_in_the_array():
    x = np.full(37, 0.7, np.float32)  # the end of an array is computed one by one, not in vectors
    for name in FUNCTIONS:
        assert len(set(apply(name, x).tolist())) == 1


def test_functions_work_outside_kernels_too():
    assert _math.exp(np.float32(0)) == 1
    assert _math.tanh(np.float32(0)) == 0
    assert _math.exp_float32.py_func(np.float32(1)) == pytest.approx(np.e, rel=1e-7)
    assert _math.tanh_float32.py_func(np.float32(-2)) == pytest.approx(np.tanh(-2), rel=1e-7)
    assert _math.sigmoid.py_func(np.float32(0)) == 0.5

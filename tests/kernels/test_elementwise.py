"""The kernels over flat arrays: the compiled code does what the Python source says, for any threads."""

import inspect

import numpy as np
import pytest

from pycaffe_lite.kernels import (
    absval,
    bnll,
    clip,
    eltwise,
    elu,
    exp,
    log,
    power,
    sigmoid,
    swish,
    tanh,
    threshold,
)
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.flat import FlatKernel

MODULES = (absval, bnll, clip, eltwise, elu, exp, log, power, sigmoid, swish, tanh, threshold)
KERNELS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in MODULES
    for name, function in vars(module).items()
    if isinstance(function, FlatKernel)
}
OUTPUTS = {"y", "dx", "gate", "winner"}
OPTIONS = {
    "alpha": 0.5,
    "beta": 1.5,
    "low": 0.4,
    "high": 1.2,
    "inner": 0.5,
    "outer": 2.0,
    "scale": 0.5,
    "shift": 0.25,
    "power": 1.5,
    "threshold": 0.7,
    "a_coeff": 0.5,
    "b_coeff": -2.0,
    "coeff": 0.5,
    "index": 1,
    "slope": 0.25,
}


def arguments(function, count, dtype):
    numbers = np.random.default_rng(0)
    return {
        name: OPTIONS[name]
        if name in OPTIONS
        else numbers.integers(0, 2, count, dtype=np.int32)
        if name == "winner"
        else numbers.uniform(0.1, 2, count).astype(dtype)
        for name in inspect.signature(function.py_func).parameters
    }


def outputs(given):
    return [value for name, value in given.items() if name in OUTPUTS]


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_code_does_what_the_source_says(name, dtype):
    compiled, source = (arguments(KERNELS[name], 37, dtype) for _ in range(2))
    KERNELS[name](*compiled.values())
    KERNELS[name].py_func(*source.values())
    for got, right in zip(outputs(compiled), outputs(source), strict=True):
        assert got.dtype == right.dtype
        assert np.allclose(got, right, rtol=4 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("name", KERNELS)
def test_result_does_not_depend_on_the_number_of_threads(name):
    before = get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            given = arguments(KERNELS[name], 40_007, np.float32)
            KERNELS[name](*given.values())
            results.append(outputs(given))
    finally:
        set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))

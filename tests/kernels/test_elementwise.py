"""Elementwise kernels: the compiled loops do at every place what the formula says for one."""

import numpy as np
import pytest
from numba.core.errors import TypingError

from pycaffe_lite.kernels import (
    absval,
    bnll,
    clip,
    constant,
    copy,
    dropout,
    eltwise,
    elu,
    exp,
    log,
    power,
    relu,
    sigmoid,
    split,
    swish,
    tanh,
    threshold,
)
from pycaffe_lite.kernels.elementwise import Elementwise, elementwise
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.kernels.runtime.steps import PIECE, record
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

MODULES = (
    *(absval, bnll, clip, constant, copy, dropout, eltwise, elu, exp, log, power),
    *(relu, sigmoid, split, swish, tanh, threshold),
)
KERNELS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": kernel
    for module in MODULES
    for name, kernel in vars(module).items()
    if isinstance(kernel, Elementwise)
}
ARRAYS = {"x", "y", "dy", "a", "b", "gate", "mask", "winner"}
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
    "outer_scale": 1.0,
    "power_scale": 0.75,
    "value": 3.0,
}
WHOLE = {"mask": np.uint8, "winner": np.int32}


def inputs_of(kernel, count, dtype):
    """By name: arrays of positive numbers, and the numbers of OPTIONS."""
    numbers = np.random.default_rng(0)
    return {
        name: OPTIONS[name]
        if name not in ARRAYS
        else numbers.integers(0, 2, count).astype(WHOLE[name])
        if name in WHOLE
        else numbers.uniform(0.1, 2, count).astype(dtype)
        for name in kernel.names
    }


def results_of(name, count, dtype):
    """Arrays for the results: two for the formulas that return two."""
    winners = {f"eltwise.{of}{more}": np.int32 for of in ("maximum", "minimum") for more in ("", "_with")}
    first = {"swish.forward": dtype, **winners}.get(name)
    return [np.zeros(count, kind) for kind in ([] if first is None else [first]) + [dtype]]


def place_by_place(kernel, inputs, results):
    """What the formula gives for the numbers at each place."""
    dtype = results[-1].dtype.type
    wanted = [np.empty_like(result) for result in results]
    for i in range(results[-1].size):
        at = [
            value[i] if isinstance(value, np.ndarray) else dtype(value) if isinstance(value, float) else value
            for value in inputs.values()
        ]
        given = kernel.py_func(*at)
        for result, number in zip(wanted, given if isinstance(given, tuple) else (given,), strict=True):
            result[i] = number
            assert result.dtype.kind == "i" or type(number) is dtype
    return wanted


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_code_does_what_the_formula_says(name, dtype):
    kernel, results = KERNELS[name], results_of(name, 37, dtype)
    inputs = inputs_of(kernel, 37, dtype)
    kernel(*inputs.values(), *results)
    for got, wanted in zip(results, place_by_place(kernel, inputs, results), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(dtype).eps, atol=0)


@elementwise
def weighted(x, y, weight):
    """An example: x + weight y, and the larger of x and y."""
    return x + weight * y, max(x, y)


@pytest.fixture
def threads():
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, PIECE, PIECE + 1, 2 * PIECE + 5])
def test_every_place_is_done_and_none_beyond(count, number, threads):
    threads(number)
    x, y = guarded(np.random.default_rng(0).standard_normal((2, count)))
    total, larger = guarded_nans(count, x.dtype), guarded_nans(count, x.dtype)
    weighted(x, y, 0.5, total, larger)
    np.testing.assert_array_equal(total, x + 0.5 * y)
    np.testing.assert_array_equal(larger, np.maximum(x, y))
    assert margins_untouched(total)
    assert margins_untouched(larger)


@pytest.mark.parametrize("overwritten", [(0, 1), (1, 0), (0, None), (None, 0), (1, None), (None, 1)])
def test_results_may_overwrite_inputs(overwritten):
    given = np.random.default_rng(0).standard_normal((2, 100))
    inputs = list(given.copy())
    results = [np.empty(100) if k is None else inputs[k] for k in overwritten]
    weighted(*inputs, 0.5, *results)
    np.testing.assert_array_equal(results[0], given[0] + 0.5 * given[1])
    np.testing.assert_array_equal(results[1], given.max(axis=0))


def test_one_array_may_be_given_twice():
    x, total, larger = np.arange(20.0), np.empty(20), np.empty(20)
    weighted(x, x, 0.5, total, larger)
    np.testing.assert_array_equal(total, 1.5 * x)
    weighted(x, x, 0.5, larger, x)
    np.testing.assert_array_equal(larger, total)
    np.testing.assert_array_equal(x, np.arange(20.0))


def test_numbers_are_rounded_to_the_type_of_the_arrays():
    x = np.float32([1, 3])
    y = np.empty_like(x)
    for third in (1 / 3, np.float64(1 / 3), np.float32(1 / 3)):
        eltwise.scale(x, third, y)
        np.testing.assert_array_equal(y, x * np.float32(1 / 3))


def test_calls_with_other_types_get_code_of_their_own():
    y = np.empty(2)
    for dtype in (np.uint8, np.int32, np.int64):
        dropout.apply(np.array([2.0, 3.0]), np.array([1, 0], dtype), 2.0, y)
        np.testing.assert_array_equal(y, [4, 0])
    x, y32 = np.float32([2, 3]), np.empty(2, np.float32)
    dropout.apply(x, np.array([0, 1], np.uint8), 2.0, y32)
    np.testing.assert_array_equal(y32, [0, 6])


def test_is_recorded_and_replayed_on_other_numbers():
    x, y = np.arange(5.0), np.empty(5)
    with record() as steps:
        tanh.forward(x, y)
        eltwise.scale(y, 2.0, y)
    assert steps.whole
    x[:] = np.linspace(-1, 1, 5)
    steps.run()
    np.testing.assert_allclose(y, 2 * np.tanh(x), rtol=1e-14)


def test_a_constant_of_no_type_is_refused():
    @elementwise
    def careless(x):
        return x + 1

    careless(np.ones(3), np.empty(3))
    with pytest.raises(
        TypingError, match=r"float64 for an array of float32: write constants as type\(x\)\(1\)"
    ):
        careless(np.ones(3, np.float32), np.empty(3, np.float32))


def test_tells_when_the_formula_returns_more_than_there_is_room_for():
    with pytest.raises(TypingError, match="2 values for 1 arrays"):
        weighted(np.ones(3), np.ones(3), 0.5, np.empty(3))


def test_knows_its_formula():
    assert weighted.names == ("x", "y", "weight")
    assert weighted.py_func(2.0, 4.0, 0.5) == (4.0, 4.0)
    assert weighted.__doc__.startswith("An example")

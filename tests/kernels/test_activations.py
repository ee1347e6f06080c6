"""The formulas of the activations: values as NumPy has them, gradients as differences have them, corners."""

import math
from functools import partial

import numpy as np
import pytest

from pycaffe_lite.kernels import (
    absval,
    bnll,
    clip,
    elu,
    exp,
    hard_sigmoid,
    hard_swish,
    log,
    mish,
    power,
    relu,
    relu6,
    sigmoid,
    swish,
    tanh,
    threshold,
)

nan, inf = math.nan, math.inf

# module: numbers by name, reference
CASES = {
    "absval": (absval, {}, np.abs),
    "bnll": (bnll, {}, partial(np.logaddexp, 0)),
    "clip": (clip, {"low": -0.4, "high": 1.2}, lambda x: np.clip(x, -0.4, 1.2)),
    "elu": (elu, {"alpha": 0.5, "scale": 1.0}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "exp": (exp, {"inner": 0.5, "outer": 3.0}, lambda x: 3 * np.exp(x / 2)),
    "hard_sigmoid": (hard_sigmoid, {"alpha": 0.25, "beta": 0.5}, lambda x: np.clip(x / 4 + 0.5, 0, 1)),
    "hard_swish": (hard_swish, {}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "log": (
        log,
        {"scale": 0.5, "shift": 2.0, "outer": 3.0, "outer_scale": 1.5},
        lambda x: 3 * np.log(x / 2 + 2),
    ),
    "mish": (mish, {}, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    **{
        f"power {p:g} {shift:g}": (
            power,
            {"power": p, "scale": 0.5, "shift": shift, "power_scale": p * 0.5},
            lambda x, p=p, shift=shift: (x / 2 + shift) ** p,
        )
        for p, shift in ((1.0, 2.0), (2.0, 2.0), (2.5, 2.0), (-1.0, 2.0), (3.0, 0.0))
    },
    "relu": (relu, {"slope": 0.25}, lambda x: np.where(x > 0, x, x / 4)),
    "relu6": (relu6, {"slope": 0.25}, lambda x: min(np.where(x > 0, x, x / 4), 6)),
    "selu": (elu, {"scale": 1.5, "alpha": 2.0}, lambda x: 1.5 * np.where(x > 0, x, 2 * np.expm1(x))),
    "sigmoid": (sigmoid, {}, lambda x: 1 / (1 + np.exp(-x))),
    "swish": (swish, {"beta": 1.5}, lambda x: x / (1 + np.exp(-1.5 * x))),
    "tanh": (tanh, {}, np.tanh),
    "threshold": (threshold, {"threshold": 0.7}, lambda x: np.where(x > 0.7, 1.0, 0.0)),
}
POINTS = np.array([-2.2, -0.9, -0.3, 0.2, 0.9, 1.6, 2.7])  # no kink nearby
STEP = 1e-6


def result(kernel, given):
    """What a formula gives, the last number of several, for those of the given numbers that it takes."""
    numbers = kernel.py_func(*(np.float64(given[name]) for name in kernel.names))
    return numbers[-1] if isinstance(numbers, tuple) else numbers


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    module, numbers, reference = CASES[name]
    for x in POINTS:
        assert result(module.forward, {"x": x, **numbers}) == pytest.approx(reference(x), rel=1e-14)


@pytest.mark.parametrize("name", [name for name in CASES if name != "threshold"])
def test_gradient_is_the_slope_of_the_value(name):
    module, numbers, _ = CASES[name]
    for x in POINTS:
        low, high = (result(module.forward, {"x": x + step, **numbers}) for step in (-STEP, STEP))
        given = {"x": x, "y": result(module.forward, {"x": x, **numbers}), "dy": 3.0, **numbers}
        if module is swish:
            given["gate"] = swish.forward.py_func(x, numbers["beta"])[0]
        assert result(module.backward, given) == pytest.approx(3 * (high - low) / (2 * STEP), rel=1e-7)


# kernel, numbers in order, result: what the formulas are to give at kinks, at infinity and for NaN.
CORNERS = [
    (absval.forward, (-0.0,), 0.0),
    (absval.backward, (0.0, 3.0), 0.0),
    (absval.backward, (-0.0, 3.0), 0.0),
    (bnll.forward, (800.0,), 800.0),
    (bnll.forward, (-800.0,), 0.0),
    (bnll.backward, (800.0, 3.0), 3.0),
    (clip.forward, (nan, -1.0, 1.0), -1.0),
    (clip.forward, (inf, -1.0, 1.0), 1.0),
    (clip.backward, (-1.0, 3.0, -1.0, 1.0), 3.0),
    (clip.backward, (1.0, 3.0, -1.0, 1.0), 3.0),
    (clip.backward, (nan, 3.0, -1.0, 1.0), 0.0),
    (elu.forward, (-inf, 0.5, 1.0), -0.5),
    (elu.backward, (0.0, 0.0, 3.0, 0.5, 1.0), 1.5),
    (hard_sigmoid.forward, (inf, 0.25, 0.5), 1.0),
    (hard_sigmoid.backward, (0.0, 3.0, 0.25), 0.0),
    (hard_sigmoid.backward, (1.0, 3.0, 0.25), 0.0),
    (hard_swish.forward, (-9.0,), -0.0),
    (hard_swish.forward, (9.0,), 9.0),
    (hard_swish.backward, (-3.0, 5.0), 0.0),
    (hard_swish.backward, (3.0, 5.0), 5.0),
    (log.forward, (0.0, 1.0, 0.0, 2.0), -inf),
    (log.forward, (-1.0, 1.0, 0.0, 2.0), nan),
    (mish.forward, (90.0,), 90.0),
    (mish.forward, (-900.0,), -0.0),
    (mish.backward, (90.0, 3.0), 3.0),
    (power.backward, (0.0, 0.0, 3.0, 1.5, 1.0, 0.0, 1.5), nan),
    (power.backward, (0.0, 0.0, 3.0, 2.0, 1.0, 0.0, 2.0), 0.0),
    (relu.forward, (nan, 0.0), nan),
    (relu.forward, (-inf, 0.25), -inf),
    (relu.backward, (0.0, 3.0, 0.25), 0.75),
    (relu6.forward, (7.0, 0.0), 6.0),
    (relu6.forward, (nan, 0.0), nan),
    (relu6.backward, (0.0, 3.0, 0.25), 0.75),
    (relu6.backward, (6.0, 3.0, 0.25), 0.0),
    (elu.forward, (-inf, 2.0, 1.5), -3.0),
    (sigmoid.forward, (inf,), 1.0),
    (sigmoid.forward, (-inf,), 0.0),
    (tanh.forward, (-inf,), -1.0),
    (threshold.forward, (0.5, 0.5), 0.0),
    (threshold.forward, (nan, 0.5), 0.0),
]


@pytest.mark.parametrize(("kernel", "numbers", "wanted"), CORNERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_corners(kernel, numbers, wanted, dtype):
    arrays = [
        np.full(3, number, dtype) if name in ("x", "y", "dy") else number
        for name, number in zip(kernel.names, numbers, strict=True)
    ]
    got = np.empty(3, dtype)
    kernel(*arrays, got)
    np.testing.assert_array_equal(got, dtype(wanted))

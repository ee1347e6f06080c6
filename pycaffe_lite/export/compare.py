"""How far the outputs of one net are from those of another."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export.inputs import random_inputs
from pycaffe_lite.net.net import Net

Array = npt.NDArray[Any]
TOLERANCE = 1e-4


class Difference(NamedTuple):
    """How far an output is from what it should be.

    Attributes:
        inputs: what the net was given, in words. output: its name.
        relative: the largest difference over the largest value; infinite where shapes differ.
        why: for an infinite one, in words.
    """

    inputs: str
    output: str
    relative: float
    why: str = ""


def difference(inputs: str, output: str, got: Array | None, expected: Array) -> Difference:
    """Compares an output with what it should be.

    Args:
        inputs, output: as in `Difference`. got: the output; None if there is none.
        expected: what it should be.
    """
    if got is None or got.shape != expected.shape:
        shape = None if got is None else got.shape
        return Difference(inputs, output, np.inf, f"has shape {shape}, not {expected.shape}")
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True):
        return Difference(inputs, output, np.inf, "has other infinite values or NaN")
    if not finite.any():  # nothing, or nothing to compare
        return Difference(inputs, output, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        largest = float(np.abs(expected[finite]).max())
        worst = float(np.abs(got[finite].astype(np.float64) - expected[finite]).max())
    return Difference(inputs, output, worst / largest if largest else worst)


def largest(found: Sequence[Difference], by: str, tolerance: float) -> Difference:
    """The largest of differences.

    Args:
        found: all of them, one at least. by: what ran the other net, in words.
        tolerance: the largest to accept.

    Raises:
        WeightsError: it is above the tolerance.
    """
    worst = max(found, key=lambda one: one.relative)
    if worst.relative <= tolerance:
        return worst
    how = worst.why or f"differs by {worst.relative:.2g} of its largest value, more than {tolerance:g}"
    raise WeightsError(f"the result is not the net: {by}, on {worst.inputs}, output '{worst.output}' {how}")


def differences(net: Net, other: Net) -> list[Difference]:
    """Runs two nets of the same inputs, and compares the outputs that both have."""
    found = []
    for what, inputs in random_inputs(net):
        results = []
        for each in (net, other):
            for name, values in inputs.items():
                each.blobs[name].reshape(values.shape)
                each.blobs[name].data[...] = values
            results.append({name: values.copy() for name, values in each.forward().items()})
        expected, got = results
        found += [difference(what, name, got.get(name), values) for name, values in expected.items()]
    return found

"""How far the outputs of one net are from those of another."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export.inputs import random_inputs
from pycaffe_lite.layer.utility.argmax import ArgMaxLayer
from pycaffe_lite.net.net import Net

Array = npt.NDArray[Any]
TOLERANCE = 1e-4
MOST_ALONE = 10
ROW = 7  # numbers of a detection
_SAME_SCORE = 1e-7


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


def place_difference(
    inputs: str, output: str, got: Array | None, expected: Array, scores: Array
) -> Difference:
    """Compares places of largest values: how far the values there are from each other.

    Of two values that are equal but for rounding, either may be the larger one.

    Args:
        inputs, output, got, expected: as in `difference`; one place each along an axis of the scores.
        scores: that were compared, with as many axes as the places; the axis is that of length 1 there.
    """
    plain = difference(inputs, output, got, expected)
    if got is None or got.shape != expected.shape or plain.relative == 0:
        return plain
    axis = next(
        i for i, (n, m) in enumerate(zip(expected.shape, scores.shape, strict=True)) if n == 1 and m > 1
    )
    if got.min() < 0 or got.max() >= scores.shape[axis]:
        return plain
    ours, others = (np.take_along_axis(scores, places.astype(np.int64), axis) for places in (expected, got))
    return difference(inputs, output, others, ours)


def detection_difference(
    inputs: str, output: str, got: Array | None, expected: Array, tolerance: float = TOLERANCE
) -> Difference:
    """Compares detections, (1, 1, M, 7), row by row; where rows differ, each with its like.

    Of boxes that overlap by the threshold, but for rounding, either may stay. So a few rows, one in
    MOST_ALONE, may be without their like in the other; the others count. Of boxes with equal scores, any may
    stay where a limit cuts them off: those of a class whose score several have need no like.
    """
    plain = difference(inputs, output, got, expected)
    if got is None or got.ndim != expected.ndim or plain.relative <= tolerance:
        return plain
    rows, others = got.reshape(-1, expected.shape[-1]), expected.reshape(-1, expected.shape[-1])
    if not (len(rows) and len(others)):
        return plain
    # The distance of each row to each other, of rows of one image and class.
    size = np.maximum(np.abs(np.where(np.isfinite(others), others, 0)).max(axis=0), 1)
    with np.errstate(invalid="ignore", over="ignore"):  # boxes of infinite size
        apart = np.nan_to_num(np.abs(rows[:, None] - others[None]) / size, nan=np.inf)
    same = (rows[:, None] == others[None]) | (np.isnan(rows)[:, None] & np.isnan(others)[None])
    apart[same] = 0
    distance = np.where((apart[..., :2] < tolerance).all(axis=2), apart.max(axis=2), np.inf)
    near = [distance.min(axis=axis) for axis in (0, 1)]
    alone = [
        int(((each > tolerance) & ~_shares_score(boxes)).sum())
        for each, boxes in zip(near, (others, rows), strict=True)
    ]
    if any(count * MOST_ALONE > len(each) for count, each in zip(alone, near, strict=True)):
        return plain
    return Difference(inputs, output, max(float(each[each <= tolerance].max(initial=0)) for each in near))


def _shares_score(rows: Array) -> Array:
    """Whether another row, of the same image and class, has the same score but for rounding."""
    kinds = rows[:, :2].astype(np.float64)
    alike = (kinds[:, None] == kinds[None]).all(axis=2)
    alike &= np.abs(rows[:, None, 2] - rows[None, :, 2]) <= _SAME_SCORE
    shared: Array = alike.sum(axis=1) > 1
    return shared


def largest(found: Sequence[Difference], by: str, tolerance: float, hint: str = "") -> Difference:
    """The largest of differences.

    Args:
        found: all of them, one at least. by: what ran the other net, in words.
        tolerance: the largest to accept. hint: what to do about a larger one.

    Raises:
        WeightsError: it is above the tolerance.
    """
    worst = max(found, key=lambda one: one.relative)
    if worst.relative <= tolerance:
        return worst
    how = worst.why or f"differs by {worst.relative:.2g} of its largest value, more than {tolerance:g}"
    what = f"the result is not the net: {by}, on {worst.inputs}, output '{worst.output}' {how}"
    raise WeightsError(f"{what}; {hint}" if hint else what)


def output_difference(
    inputs: str, output: str, got: Array | None, expected: Array, scores: Array | None = None
) -> Difference:
    """Compares an output as befits what it holds.

    Args:
        inputs, output, got, expected: as in `difference`.
        scores: what was compared, of places of largest values.
    """
    if scores is not None:
        return place_difference(inputs, output, got, expected, scores)
    if are_detections(expected):
        return detection_difference(inputs, output, got, expected)
    return difference(inputs, output, got, expected)


def are_detections(values: Array) -> bool:
    """Whether an output has the shape of detections, (1, 1, M, 7)."""
    return values.ndim == 4 and values.shape[:2] == (1, 1) and values.shape[3] == ROW


def compared_scores(net: Net) -> dict[int, Array]:
    """For each blob that holds places of largest values, what the net compared in its last pass."""
    found = {}
    for node in net.graph.nodes:
        layer = node.layer
        if not isinstance(layer, ArgMaxLayer) or layer.param.top_k > 1 or layer.param.out_max_val:
            continue
        values = node.bottom[0].data.copy()
        if not layer.param.HasField("axis"):
            values = values.reshape(values.shape[0], 1, -1, *(1,) * (len(node.top[0].shape) - 3))
        found[node.top_ids[0]] = values
    return found


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
        scores = {net.graph.blob_names[i]: values for i, values in compared_scores(net).items()}
        found += [
            output_difference(what, name, got.get(name), values, scores.get(name))
            for name, values in expected.items()
        ]
    return found

"""What is to be drawn of training runs: their curves, smoothed, and many of one output as one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from pycaffe_lite.printable import printable
from pycaffe_lite.solver.curves import Curve, Curves, Phase

Values = npt.NDArray[np.float64]
Panel = Literal["loss", "output", "rate"]

# An output of more values is drawn as their mean and range: so many curves are one grey patch.
MOST_LINES = 40
# The first so many lines are drawn: a picture of more shows nothing.
MOST_TRACES = 120
# Curves of no more points get a mark at each, and are not smoothed.
FEW_POINTS = 50
# Of the points of a curve, those that are taken together where it is smoothed.
SMOOTHED_SHARE = 0.03
# Beyond float32 by far; matplotlib's axes fail before float64 ends.
LARGEST = 1e100
LONGEST_LABEL = 60


@dataclass(frozen=True)
class Run:
    """A training run: its name, which tells it from others, and its curves."""

    name: str
    curves: Curves


@dataclass(frozen=True)
class Choice:
    """What of the runs is to be drawn.

    Attributes:
        outputs: names of outputs; none for all.
        phases: of the nets whose outputs are drawn. panels: losses, other outputs, the learning rate.
        by_seconds: whether the curves run over time, in seconds, in place of iterations.
        smooth: how many points of a training loss are taken together; None for a share of them, 1 for none.
    """

    outputs: Sequence[str] = ()
    phases: Sequence[Phase] = ("train", "test")
    panels: Sequence[Panel] = ("loss", "output", "rate")
    by_seconds: bool = False
    smooth: int | None = None


_KINDS: tuple[tuple[str, Phase, Panel], ...] = (
    ("Test accuracy", "test", "output"),
    ("Test loss", "test", "loss"),
    ("Train learning rate", "train", "rate"),
    ("Train loss", "train", "loss"),
)
# The charts of Caffe's plot script by their numbers: the title of each, and what it shows.
CHARTS: dict[int, tuple[str, Choice]] = {
    2 * kind + axis: (
        f"{what} vs. {('Iters', 'Seconds')[axis]}",
        Choice(phases=(phase,), panels=(panel,), by_seconds=axis == 1, smooth=1),
    )
    for kind, (what, phase, panel) in enumerate(_KINDS)
    for axis in (0, 1)
}


@dataclass(frozen=True)
class Trace:
    """A line of the picture: a curve, or the mean of many and what they lie between.

    Attributes:
        label: its entry in the legend. name: of the output. is_test: as in Curve. panel: where it is drawn.
        x, values: its points, (n,): iterations or seconds, and NaN for a value that cannot be drawn.
        low, high: the range of the curves that it stands for, (n,); None if it is a single curve.
        raw: what `values` are smoothed from, (n,); None if they are as logged.
    """

    label: str
    name: str
    is_test: bool
    panel: Panel
    x: Values
    values: Values
    low: Values | None = None
    high: Values | None = None
    raw: Values | None = None

    @property
    def is_visible(self) -> bool:
        """Whether any of its points can be drawn."""
        return bool(np.isfinite(self.values).any())

    @property
    def has_marks(self) -> bool:
        """Whether points are marked: if they are few, or one has no neighbour to be joined with."""
        there = np.isfinite(np.concatenate(([np.nan], self.values, [np.nan])))
        alone = there[1:-1] & ~there[:-2] & ~there[2:]
        return len(self.values) <= FEW_POINTS or bool(alone.any())

    def extent(self) -> Values:
        """The finite values that its axis has to show."""
        values: Values = np.concatenate(
            [v for v in (self.values, self.low, self.high, self.raw) if v is not None]
        )
        return values[np.isfinite(values)]


def traces_of(runs: Sequence[Run], choice: Choice) -> list[Trace]:
    """The lines of all runs, to somewhat beyond MOST_TRACES: train nets', test nets', learning rates.

    Args:
        runs: in the order of the legend; if there are several, their names stand before the labels.
        choice: what of them is drawn.
    """
    traces: list[Trace] = []
    for run in runs:
        prefix = f"{run.name}: " if len(runs) > 1 else ""
        traces += _of_run(run.curves, choice, prefix)
        if len(traces) > MOST_TRACES:
            break
    return traces


def _of_run(curves: Curves, choice: Choice, prefix: str) -> list[Trace]:
    drawn = [
        curve
        for phase, group in (("train", curves.train), ("test", curves.test))
        if phase in choice.phases
        for curve in distinct(group)
        if ("loss" if curve.is_loss else "output") in choice.panels
        and (not choice.outputs or curve.name in choice.outputs)
    ]
    traces: list[Trace] = []
    for _, group in itertools.groupby(drawn, key=lambda c: (c.phase, c.net, c.name, c.number is None)):
        outputs = list(group)
        if len(outputs) > MOST_LINES:
            traces.append(_range(outputs, prefix + curves.label(outputs[0]), choice))
        else:
            labels = [prefix + label_of(curve, curves) for curve in outputs]
            traces += [
                _smoothed(_trace(curve, label, choice), choice)
                for curve, label in zip(outputs, labels, strict=True)
            ]
        if len(traces) > MOST_TRACES:
            break
    wants_rate = "rate" in choice.panels and (not choice.outputs or "lr" in choice.outputs)
    if wants_rate and len(curves.lr):
        traces.append(replace(_trace(curves.lr, f"{prefix}learning rate", choice), panel="rate"))
    return traces


def _smoothed(trace: Trace, choice: Choice) -> Trace:
    """A training loss with the noise of its batches taken out; what was logged stays as `raw`."""
    count = len(trace.values)
    width = choice.smooth or max(3, round(SMOOTHED_SHARE * count))
    if trace.is_test or trace.panel != "loss" or width == 1 or (count <= FEW_POINTS and not choice.smooth):
        return trace
    return replace(trace, values=smoothed(trace.values, width), raw=trace.values)


def smoothed(values: Values, width: int) -> Values:
    """The means over triangles of twice `width` values, without those that are not finite, which stay NaN."""
    there = np.isfinite(values)
    sums, weights = np.where(there, values, 0.0), there.astype(float)
    for _ in range(2):  # twice a box is a triangle, which lets no corner of the curve through
        sums, weights = _boxes(sums, width), _boxes(weights, width)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, sums / weights, np.nan)


def _boxes(values: Values, width: int) -> Values:
    """The sum over the `width` values around each, or as many of them as there are.

    Each sum is made of the end of one block of `width` values and the beginning of the next, so that large
    values elsewhere leave no error behind.
    """
    before, count = width // 2, len(values)
    blocks = -(-(count + width) // width)
    padded = np.zeros(blocks * width)
    padded[before : before + count] = values
    table = padded.reshape(blocks, width)
    to_here = np.cumsum(table, axis=1).ravel()
    from_here = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].ravel()
    starts = np.arange(count)
    return np.where(starts % width, from_here[:count], 0.0) + to_here[width - 1 : width - 1 + count]


def label_of(curve: Curve, curves: Curves) -> str:
    """A curve's label; the loss of the whole net is told from an output that is called the same."""
    others = curves.train if curve.phase == "train" else curves.test
    losses = sum(other.is_loss and other.number is not None and other.net == curve.net for other in others)
    whole = "" if curve.number is not None or not losses else " (smoothed)" if losses == 1 else " (total)"
    return curves.label(curve) + whole


def distinct(curves: Sequence[Curve]) -> list[Curve]:
    """The curves without a loss of the whole net that one output repeats: that net has no other loss."""
    return [
        curve
        for curve in curves
        if curve.number is not None
        or not any(
            _repeats(other, curve)
            for other in curves
            if other.number is not None and other.is_loss and other.net == curve.net
        )
    ]


def _repeats(one: Curve, other: Curve) -> bool:
    """Whether two curves agree, to the digits of a log, wherever both have a point."""
    _, places, others = np.intersect1d(one.iterations, other.iterations, return_indices=True)
    return len(places) > 0 and np.allclose(
        one.values[places], other.values[others], rtol=2e-5, atol=0, equal_nan=True
    )


def _drawable(values: Values) -> Values:
    sizes = np.abs(values)
    return np.where(sizes < LARGEST, np.where(sizes > 1 / LARGEST, values, 0), np.nan)


def _trace(curve: Curve, label: str, choice: Choice) -> Trace:
    x, values = _x(curve, choice), _drawable(curve.values)
    lost = int(np.isnan(values).sum())
    note = f", {lost} of {len(curve)} not finite (×)" if lost else ""
    return Trace(
        f"{shortened(label)}{note}",
        *(curve.name, curve.phase == "test", "loss" if curve.is_loss else "output", x, values),
    )


def _x(curve: Curve, choice: Choice) -> Values:
    """Where the points of a curve lie: at iterations or seconds; NaN for a line of the log without time."""
    return curve.seconds if choice.by_seconds else curve.iterations.astype(np.float64)


def _range(curves: Sequence[Curve], label: str, choice: Choice) -> Trace:
    """Many curves of one output as their mean and range; if one has no value, the others count."""
    x = np.unique(np.concatenate([_x(curve, choice) for curve in curves]))
    sums, counts = np.zeros(len(x)), np.zeros(len(x))
    low, high = np.full(len(x), np.inf), np.full(len(x), -np.inf)
    for curve in curves:
        values = _drawable(curve.values)
        there = np.isfinite(values)
        places = np.searchsorted(x, _x(curve, choice)[there])
        sums[places] += values[there]
        counts[places] += 1
        low[places] = np.minimum(low[places], values[there])
        high[places] = np.maximum(high[places], values[there])
    with np.errstate(invalid="ignore"):
        means = sums / counts
    low[counts == 0] = high[counts == 0] = np.nan
    text = f"{shortened(label)} to #{curves[-1].number}, mean and range"
    first = curves[0]
    panel: Panel = "loss" if first.is_loss else "output"
    return Trace(text, first.name, first.phase == "test", panel, x, means, low, high)


def shortened(label: str) -> str:
    """A label in letters that can be drawn, without its middle if it is long."""
    text = "".join(c if _has_letter(c) else c.encode("unicode_escape").decode() for c in label)
    return printable(text, LONGEST_LABEL)


def _has_letter(character: str) -> bool:
    """Whether matplotlib's font can draw a character; it draws all others as one and the same box."""
    from matplotlib import font_manager

    if character.isascii():
        return True
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    return bool(font.get_char_index(ord(character)))

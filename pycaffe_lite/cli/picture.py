"""The curves of a training run as a picture."""

from __future__ import annotations

import colorsys
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_path
from pycaffe_lite.printable import printable
from pycaffe_lite.solver.curves import Curve, Curves

Values = npt.NDArray[np.float64]

# An output of more values is drawn as their mean and range: so many curves are one grey patch.
MOST_LINES = 40
# The first so many lines are drawn: a picture of more shows nothing.
MOST_TRACES = 120
# Curves of no more points get a mark at each.
FEW_POINTS = 50
# Beyond float32 by far; matplotlib's axes fail before float64 ends.
LARGEST = 1e100
LONGEST_LABEL = 60
LEGEND_ROWS = 24
# In inches: the picture without its legend; a row of the legend, its line, and a letter.
WIDTH, HEIGHT = 8.0, 4.5
ROW_HEIGHT, HANDLE_WIDTH, LETTER_WIDTH = 0.19, 0.5, 0.075


def draw(curves: Curves, picture: Path, title: str = "") -> None:
    """Draws losses against the left axis, other outputs against the right one; both alone on the left.

    Args:
        curves: of a log. picture: the file to write; its suffix says in which format. title: its heading.

    Raises:
        DataError: there is nothing to draw, or the picture cannot be written.
        PycaffeError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PycaffeError(missing("drawing", "matplotlib", "plot")) from None
    traces = _traces(curves)
    if not any(trace.is_visible for trace in traces):
        raise DataError(f"cannot draw '{picture}': the log has no finite value")
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=120, layout="constrained")
    _fill(figure, traces[:MOST_TRACES], title)
    if len(traces) > MOST_TRACES:
        figure.legends[0].set_title(f"the first {MOST_TRACES} curves of the log")
    try:
        with atomic_path(picture, error=DataError) as temporary, warnings.catch_warnings():
            # A title may have letters that the font lacks.
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(temporary, format=picture.suffix.lstrip(".") or "png")
    except (ValueError, RuntimeError) as error:  # no such format; a program that it needs is missing
        raise DataError(f"cannot draw '{picture}': {error}") from None


# ------------------------------------------------------------------------------------- what is to be drawn


@dataclass(frozen=True)
class _Trace:
    """A line of the picture: a curve, or the mean of many and what they lie between.

    Attributes:
        label: its entry in the legend. name: of the output. is_test, is_loss: as in Curve.
        iterations, values: its points, (n,); NaN if they cannot be drawn.
        low, high: the range of the curves that it stands for, (n,); None if it is a single curve.
    """

    label: str
    name: str
    is_test: bool
    is_loss: bool
    iterations: npt.NDArray[np.int64]
    values: Values
    low: Values | None = None
    high: Values | None = None

    @property
    def is_visible(self) -> bool:
        return bool(np.isfinite(self.values).any())

    @property
    def has_marks(self) -> bool:
        """Whether points are marked: if they are few, or one has no neighbour to be joined with."""
        there = np.isfinite(np.concatenate(([np.nan], self.values, [np.nan])))
        alone = there[1:-1] & ~there[:-2] & ~there[2:]
        return len(self.values) <= FEW_POINTS or bool(alone.any())

    def extent(self) -> Values:
        """The finite values that its axis has to show."""
        values: Values = np.concatenate([v for v in (self.values, self.low, self.high) if v is not None])
        return values[np.isfinite(values)]


def _traces(curves: Curves) -> list[_Trace]:
    """The train net's lines, then the test nets', to somewhat beyond MOST_TRACES.

    The learning rate only if the log has nothing else.
    """
    drawn = [*_distinct(curves.train), *_distinct(curves.test)]
    if not drawn and len(curves.lr):
        return [_trace(curves.lr, "learning rate")]
    traces: list[_Trace] = []
    for _, group in itertools.groupby(drawn, key=lambda c: (c.phase, c.net, c.name, c.number is None)):
        outputs = list(group)
        if len(outputs) > MOST_LINES:
            traces.append(_range(outputs, curves.label(outputs[0])))
        else:
            traces += [_trace(curve, _label(curve, curves)) for curve in outputs]
        if len(traces) > MOST_TRACES:
            break
    return traces


def _label(curve: Curve, curves: Curves) -> str:
    """A curve's label; the loss of the whole net is told from an output that is called the same."""
    others = curves.train if curve.phase == "train" else curves.test
    losses = sum(other.is_loss and other.number is not None and other.net == curve.net for other in others)
    whole = "" if curve.number is not None or not losses else " (smoothed)" if losses == 1 else " (total)"
    return curves.label(curve) + whole


def _distinct(curves: Sequence[Curve]) -> list[Curve]:
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


def _trace(curve: Curve, label: str) -> _Trace:
    values = _drawable(curve.values)
    lost = int(np.isnan(values).sum())
    note = f", {lost} of {len(curve)} not finite (×)" if lost else ""
    return _Trace(
        f"{_shortened(label)}{note}",
        *(curve.name, curve.phase == "test", curve.is_loss, curve.iterations, values),
    )


def _range(curves: Sequence[Curve], label: str) -> _Trace:
    """Many curves of one output as their mean and range; if one has no value, the others count."""
    iterations = np.unique(np.concatenate([curve.iterations for curve in curves]))
    sums, counts = np.zeros(len(iterations)), np.zeros(len(iterations))
    low, high = np.full(len(iterations), np.inf), np.full(len(iterations), -np.inf)
    for curve in curves:
        values = _drawable(curve.values)
        there = np.isfinite(values)
        places = np.searchsorted(iterations, curve.iterations[there])
        sums[places] += values[there]
        counts[places] += 1
        low[places] = np.minimum(low[places], values[there])
        high[places] = np.maximum(high[places], values[there])
    with np.errstate(invalid="ignore"):
        means = sums / counts
    low[counts == 0] = high[counts == 0] = np.nan
    text = f"{_shortened(label)} to #{curves[-1].number}, mean and range"
    first = curves[0]
    return _Trace(text, first.name, first.phase == "test", first.is_loss, iterations, means, low, high)


def _shortened(label: str) -> str:
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


# ------------------------------------------------------------------------------------------------- drawing


def _fill(figure: Any, traces: Sequence[_Trace], title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    losses = [trace for trace in traces if trace.is_loss]
    others = [trace for trace in traces if not trace.is_loss]
    left = figure.subplots()
    right = left.twinx() if losses and others else left
    handles = [
        _plot(left if trace.is_loss else right, trace, style)
        for trace, style in zip(traces, _styles(len(traces)), strict=True)
    ]
    if losses:
        _scale(left, np.concatenate([trace.extent() for trace in losses]))
        left.set_ylabel("loss")
    if others:
        names = list(dict.fromkeys(_shortened(trace.name) for trace in others))
        right.set_ylabel(", ".join(names) if len(names) <= 3 else "other outputs")
    left.set_xlabel("iteration")
    left.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.grid(alpha=0.3)
    left.set_title(title)
    legend = _legend(figure, handles)
    for text in (*legend.get_texts(), left.title, left.yaxis.label, right.yaxis.label):
        text.set_parse_math(False)  # names are no formulas, whatever dollars they hold


def _plot(axes: Any, trace: _Trace, style: _Style) -> Any:
    (line,) = axes.plot(
        *(trace.iterations, trace.values),
        color=style.colour,
        linestyle=style.test_dashes if trace.is_test else style.dashes,
        linewidth=1.2,
        marker=style.mark if trace.has_marks else None,
        markersize=3,
        label=trace.label,
    )
    if trace.low is not None:
        axes.fill_between(trace.iterations, trace.low, trace.high, color=style.colour, alpha=0.2, linewidth=0)
    lost = trace.iterations[np.isnan(trace.values)]
    if len(lost):
        # On the upper edge, whatever the axis shows.
        edge = axes.get_xaxis_transform()
        axes.plot(lost, np.ones(len(lost)), "x", color=style.colour, transform=edge, clip_on=False)
    return line


def _scale(axes: Any, values: Values) -> None:
    """A logarithmic axis for losses that differ much; if some are 0 or below, one that shows these too."""
    sizes = np.abs(values[values != 0])
    if not len(sizes):
        return
    least, most = float(sizes.min()), float(sizes.max())
    if values.min() > 0 and most > 5 * least:
        axes.set_yscale("log")
        # Within two decades there are too few powers of ten to read an axis by.
        shown = ("1", "2", "5") if most < 100 * least else ("1",)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in shown else "")
    elif values.min() <= 0 and most > 1000 * least:
        axes.set_yscale("symlog", linthresh=max(least, most * 1e-9))


def _legend(figure: Any, handles: Sequence[Any]) -> Any:
    """The legend beside the axes, which keep their size: the picture grows with it."""
    columns = -(-len(handles) // LEGEND_ROWS)
    rows = -(-len(handles) // columns)
    letters = max(len(handle.get_label()) for handle in handles)
    figure.set_size_inches(
        WIDTH + columns * (HANDLE_WIDTH + LETTER_WIDTH * letters), max(HEIGHT, ROW_HEIGHT * (rows + 2))
    )
    return figure.legend(
        handles=handles, loc="outside right upper", ncols=columns, fontsize="small", frameon=False
    )


@dataclass(frozen=True)
class _Style:
    """How a line looks; lines of test nets have dashes of their own."""

    colour: tuple[float, float, float]
    dashes: Any
    test_dashes: Any
    mark: str


def _styles(count: int) -> Iterator[_Style]:
    """Styles of which no two are the same, with colours that differ much if there are few lines."""
    from matplotlib import colormaps

    dashes = [
        ("-", "--"),
        ("-.", (0, (5, 1, 1, 1, 1, 1))),
        (":", (0, (1, 2))),
        ((0, (8, 2)), (0, (8, 2, 1, 2))),
    ]
    marks = "os^vDPX*<>"
    for i in range(count):
        if count <= 10:
            colour = colormaps["tab10"](i)[:3]
        elif count <= 20:
            colour = colormaps["tab20"](2 * i % 20 + i // 10)[:3]
        else:
            colour = colorsys.hsv_to_rgb(i * 0.618034 % 1, (0.95, 0.6)[i % 2], (0.85, 0.75, 0.5)[i % 3])
        turn = i // 10 if count > 20 else 0
        yield _Style(colour, *dashes[turn % len(dashes)], marks[turn % len(marks)])

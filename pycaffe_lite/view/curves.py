"""Pictures of training runs: losses, other outputs and the learning rate, one panel below the other."""

from __future__ import annotations

import colorsys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_path
from pycaffe_lite.view.traces import MOST_TRACES, Choice, Panel, Run, Trace, Values, shortened, traces_of

LEGEND_ROWS = 24
# In inches: the picture without panels and legend, and the height of each panel; a row of the legend, its
# line, and a letter.
WIDTH, HEIGHT = 8.0, 1.0
PANEL_HEIGHTS: dict[Panel, float] = {"loss": 3.5, "output": 2.8, "rate": 1.4}
ROW_HEIGHT, HANDLE_WIDTH, LETTER_WIDTH = 0.19, 0.5, 0.075


def draw(runs: Sequence[Run], picture: Path, title: str = "", choice: Choice | None = None) -> None:
    """Draws runs: losses in one panel, other outputs in a second, the learning rate in a third.

    A training loss is drawn smoothed, with what was logged in a faint line behind it.

    Args:
        runs: of which there is at least one. picture: the file to write; its suffix says in which format.
        title: its heading. choice: what of the runs is drawn; None for all.

    Raises:
        DataError: there is nothing to draw, or the picture cannot be written.
        PycaffeError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PycaffeError(missing("drawing", "matplotlib", "plot")) from None
    choice = choice or Choice()
    traces = traces_of(runs, choice)
    if not any(trace.is_visible for trace in traces):
        raise DataError(_nothing(picture, runs, choice))
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=120, layout="constrained")
    _fill(figure, traces[:MOST_TRACES], title, "seconds" if choice.by_seconds else "iteration")
    if len(traces) > MOST_TRACES:
        figure.legends[0].set_title(f"the first {MOST_TRACES} curves of the log")
    try:
        with atomic_path(picture, error=DataError) as temporary, warnings.catch_warnings():
            # A title may have letters that the font lacks.
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(temporary, format=picture.suffix.lstrip(".") or "png")
    except (ValueError, RuntimeError) as error:  # no such format; a program that it needs is missing
        raise DataError(f"cannot draw '{picture}': {error}") from None


def _nothing(picture: Path, runs: Sequence[Run], choice: Choice) -> str:
    """Why there is no picture."""
    names = dict.fromkeys(curve.name for run in runs for curve in (*run.curves.train, *run.curves.test))
    if choice.outputs and not set(choice.outputs) & {*names, "lr"}:
        wanted = ", ".join(f"'{name}'" for name in choice.outputs)
        return f"cannot draw '{picture}': the log has no output {wanted}; it has {', '.join([*names, 'lr'])}"
    whole = choice.panels == Choice.panels and choice.phases == Choice.phases
    what = "finite value" if whole else "finite value of this kind"
    return f"cannot draw '{picture}': the log{'s have' if len(runs) > 1 else ' has'} no {what}"


def _fill(figure: Any, traces: Sequence[Trace], title: str, x_label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    panels = [panel for panel in PANEL_HEIGHTS if any(trace.panel == panel for trace in traces)]
    heights = [PANEL_HEIGHTS[panel] for panel in panels]
    grid = figure.subplots(len(panels), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
    axes = dict(zip(panels, grid[:, 0], strict=True))
    handles = [
        _plot(axes[trace.panel], trace, style)
        for trace, style in zip(traces, _styles(len(traces)), strict=True)
    ]
    for panel, ax in axes.items():
        _label_axis(ax, panel, [trace for trace in traces if trace.panel == panel])
        ax.grid(alpha=0.3)
    last, first = axes[panels[-1]], axes[panels[0]]
    last.set_xlabel(x_label)
    last.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first.set_title(title)
    legend = _legend(figure, handles, HEIGHT + sum(heights))
    for text in (*legend.get_texts(), first.title, *(ax.yaxis.label for ax in axes.values())):
        text.set_parse_math(False)  # names are no formulas, whatever dollars they hold


def _label_axis(axes: Any, panel: Panel, traces: Sequence[Trace]) -> None:
    if panel == "loss":
        _scale(axes, np.concatenate([trace.extent() for trace in traces]))
        axes.set_ylabel("loss")
    elif panel == "rate":
        _scale(axes, np.concatenate([trace.extent() for trace in traces]))
        axes.set_ylabel("learning rate")
    else:
        names = list(dict.fromkeys(shortened(trace.name) for trace in traces))
        axes.set_ylabel(", ".join(names) if len(names) <= 3 else "other outputs")


def _plot(axes: Any, trace: Trace, style: _Style) -> Any:
    (line,) = axes.plot(
        *(trace.x, trace.values),
        color=style.colour,
        linestyle=style.test_dashes if trace.is_test else style.dashes,
        linewidth=1.2,
        marker=style.mark if trace.has_marks else None,
        markersize=3,
        label=trace.label,
    )
    if trace.raw is not None:
        axes.plot(trace.x, trace.raw, color=style.colour, linewidth=0.8, alpha=0.3, label="_raw", zorder=1.5)
    if trace.low is not None:
        axes.fill_between(trace.x, trace.low, trace.high, color=style.colour, alpha=0.2, linewidth=0)
    lost = trace.x[np.isnan(trace.values)]
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


def _legend(figure: Any, handles: Sequence[Any], height: float) -> Any:
    """The legend beside the axes, which keep their size: the picture grows with it."""
    columns = -(-len(handles) // LEGEND_ROWS)
    rows = -(-len(handles) // columns)
    letters = max(len(handle.get_label()) for handle in handles)
    figure.set_size_inches(
        WIDTH + columns * (HANDLE_WIDTH + LETTER_WIDTH * letters), max(height, ROW_HEIGHT * (rows + 2))
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

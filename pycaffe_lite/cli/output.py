"""What the user sees: Caffe's log if stderr is a file or a pipe, a quiet screen if it is a terminal.

Results go to stdout. All is written by the functions here, which make names from files printable: no command
calls `click.echo` or `print` itself.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import click
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from pycaffe_lite import glog
from pycaffe_lite.printable import printable, printable_line

log = logging.getLogger(__name__)

# Set where stderr is a pipe that leads to a terminal: a launcher of ranks takes it there.
TERMINAL_VARIABLE = "PYCAFFE_LITE_TERMINAL"
# The terminal, for progress and notices; used only if stderr is one. All that is written there goes
# through it, so that a progress bar stays below.
SCREEN = Console(
    stderr=True,
    force_interactive=True,
    force_terminal=bool(os.environ.get(TERMINAL_VARIABLE)) or None,
    highlight=False,
    soft_wrap=True,
)
# Loggers whose INFO lines the screen shows too: they say what makes the user wait.
NOTICES = {"pycaffe_lite.kernels", "pycaffe_lite.data.mnist"}
# `extra` of a log record that the user gets in another way too.
FOR_FILES_ONLY = {"for_files_only": True}

_SILENT = "pycaffe_lite.silent"

REFRESH_SECONDS = 0.2
# Characters of a line of bars in a file.
_BARS_WIDTH = 80


def interactive() -> bool:
    """Whether somebody watches: stderr is a terminal on which a progress bar can move."""
    if _is_silent() or sys.stderr is None or SCREEN.is_dumb_terminal:
        return False
    return sys.stderr.isatty() or bool(os.environ.get(TERMINAL_VARIABLE))


def be_silent() -> None:
    """Shows nothing but errors for as long as the click command runs: another process shows the rest."""
    click.get_current_context().meta[_SILENT] = True


def _is_silent() -> bool:
    ctx = click.get_current_context(silent=True)
    return ctx is not None and _SILENT in ctx.meta


def say(message: str, style: str = "") -> None:
    """Writes a line on the terminal, above a progress bar."""
    SCREEN.print(Text(printable_line(message), style))


def notice(message: str) -> None:
    """Says something in the log, and on a terminal, which the log does not reach."""
    log.info("%s", message)
    if interactive():
        say(message)


def echo(line: str, *, err: bool = False) -> None:
    """Writes a line of results to stdout; with `err`, one about a problem to stderr."""
    if _is_silent() and not err:
        return
    click.echo(printable_line(line), err=err)


class Column(NamedTuple):
    """A column of a table: its heading, what stands under it, and whether it holds numbers."""

    heading: str
    footer: str = ""
    is_number: bool = False


def echo_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Writes a table of results to stdout."""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_footer=any(column.footer for column in columns),
        pad_edge=False,
        title=Text(printable(title)),
        title_justify="left",
    )
    for column in columns:
        table.add_column(
            Text(printable(column.heading)),
            Text(printable(column.footer)),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 1000  # of a file; a table is as wide as it needs
    console.print(table)


def echo_bars(counts: Sequence[tuple[str, int]]) -> None:
    """Writes counts to stdout as bars, each with its name and number."""
    names = [printable(name) for name, _ in counts]
    name_width, number_width = max(map(len, names)), len(str(max(count for _, count in counts)))
    room = Console(file=sys.stdout).width if sys.stdout.isatty() else _BARS_WIDTH
    width = max(room - name_width - number_width - 4, 10)
    most = max(count for _, count in counts)
    for name, (_, count) in zip(names, counts, strict=True):
        echo(f"{name:>{name_width}}  {count:>{number_width}}  {bar(count / most, width)}")


def bar(part: float, width: int) -> str:
    """A bar as long as a part, 0 to 1, of a width in letters; none for NaN."""
    eighths = round(8 * width * part) if math.isfinite(part) else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def start_log(log_file: Path | None = None, *, append: bool = False, least: int = logging.INFO) -> None:
    """Shows the log to the user, for as long as the click command runs.

    Args:
        log_file: a file to write the log to as well. append: keep what it holds.
        least: the lowest level to show; a command that runs no net need not tell how one is built.

    Raises:
        PycaffeError: the file cannot be written.
    """
    if _is_silent():
        least = logging.ERROR
    shown = _ScreenHandler() if interactive() else glog.StderrHandler(max(glog.minimum_level(), least))
    shown.addFilter(lambda record: not hasattr(record, "for_files_only"))
    handlers: list[logging.Handler] = [shown]
    if log_file is not None:
        handlers.append(glog.LogFile(log_file, append=append))
    for handler in handlers:
        glog.attach(handler)
        click.get_current_context().call_on_close(partial(glog.detach, handler))


class _ScreenHandler(logging.Handler):
    """Warnings, errors and notices, without the log's prefix."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.addFilter(lambda record: record.levelno >= logging.WARNING or record.name in NOTICES)

    def emit(self, record: logging.LogRecord) -> None:
        styles = {logging.INFO: "dim", logging.WARNING: "yellow"}
        say(record.getMessage(), styles.get(record.levelno, "red"))


def say_mode(gpu: str, ranks: int | None = None) -> None:
    """Says that the CPU computes, and that a GPU which the user asked for is not used.

    Args:
        gpu: what follows -gpu. ranks: how many processes share the work; None for work that cannot be shared.
    """
    if gpu:
        log.warning("There is no GPU support: -gpu %s is ignored", gpu)
    count = gpu.count(",") + 1
    if ranks == 1 and count > 1:
        log.info("In Caffe, -gpu %s trains on %d GPUs; --ranks %d does so in %d processes", gpu, *[count] * 3)
    log.info("Use CPU.")


def results_wanted() -> bool:
    """Whether results go to stdout: not if the log, which holds them too, goes to the same place."""
    if _is_silent():
        return False
    if interactive() or not glog.LOGGER.isEnabledFor(logging.INFO):
        return True
    try:
        return not os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # none, or no files of the operating system
        return True


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(self, steps: int = 1) -> None:
        """Says that so many steps more are done."""


class _Rate(ProgressColumn):
    """How many steps a second takes."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.speed or 0.0
        return Text(f"{speed:.{0 if speed >= 10 else 2}f} {self._unit}/s" if speed else "")


@contextmanager
def progress_bar(what: str, total: int, unit: str = "") -> Iterator[Advance]:
    """A progress bar on the terminal, none if stderr is not one.

    It is drawn by its caller's thread alone, and seldom, so that it can stand beside a measurement.

    Args:
        what: is done, one word of ours. total: steps to its end.
        unit: what a step is, "images", where their rate is of interest.

    Yields:
        What to call after each step.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([_Rate(unit)] if unit else []),
        TimeRemainingColumn(),
        *([TextColumn("left")] if unit else []),
        console=SCREEN,
        auto_refresh=False,
        transient=True,
        disable=not interactive(),
    )
    task = progress.add_task(what, total=total)
    drawn = time.monotonic()

    def advance(steps: int = 1) -> None:
        nonlocal drawn
        progress.advance(task, steps)
        if time.monotonic() - drawn >= REFRESH_SECONDS:
            progress.refresh()
            drawn = time.monotonic()

    with progress:
        yield advance

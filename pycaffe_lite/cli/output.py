"""What the user sees: Caffe's log where stderr is a file or a pipe, a quiet screen where it is a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pycaffe_lite import glog

log = logging.getLogger(__name__)


def interactive() -> bool:
    """Whether somebody watches: stderr is a terminal."""
    return sys.stderr.isatty()


def screen() -> Console:
    """The terminal, for progress and notices; results go to stdout."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def start_log(console: Console | None = None) -> None:
    """Sends Caffe's log lines to stderr; to a terminal, only warnings and errors, without their prefix."""
    if not interactive():
        glog.log_to_stderr()
    elif not any(isinstance(handler, _ScreenHandler) for handler in glog.LOGGER.handlers):
        glog.LOGGER.addHandler(_ScreenHandler(console or screen()))


def say_mode(gpu: str) -> None:
    """Says once that the CPU computes, also where the user asked for a GPU."""
    if gpu:
        log.warning("There is no GPU support: -gpu %s is ignored", gpu)
    log.info("Use CPU.")


class _ScreenHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno == logging.WARNING else "red"
        self._console.print(record.getMessage(), style=style, markup=False)


@contextmanager
def progress_bar(what: str, total: int, fields: str = "") -> Iterator[Progress]:
    """A progress bar on the terminal, none where stderr is not one.

    Args:
        what: its title. total: steps to its end.
        fields: a format of the task's fields to show behind the bar, `loss {task.fields[loss]}`.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([TextColumn(fields)] if fields else []),
        TimeRemainingColumn(),
        console=screen(),
        disable=not interactive(),
    )
    progress.add_task(what, total=total)
    with progress:
        yield progress

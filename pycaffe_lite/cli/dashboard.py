"""`pycaffe-lite dashboard`: trainings on a page of the browser, while they run or afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo, notice
from pycaffe_lite.solver import Solver


@click.command("dashboard", cls=CaffeCommand)
@click.argument("runs", metavar="RUN|LOG|FOLDER...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="[default: one that is free]"
)
def command(runs: tuple[Path, ...], port: int) -> None:
    """Shows trainings on a page of this machine's browser.

    RUN is a .run file, which 'train --dashboard' keeps beside the snapshots; LOG a log of ours, of Caffe or
    of one of its forks; a FOLDER stands for the runs and the logs in it. Files that grow are read again. The
    page is served to this machine alone, until Ctrl-C.
    """
    from pycaffe_lite.view.dashboard.runs import runs_of
    from pycaffe_lite.view.dashboard.server import PageServer

    server = PageServer(runs_of(runs), port)
    try:
        echo(f"The page is at {server.url}; Ctrl-C ends it.")
        wait_for_ctrl_c()
    finally:
        server.close()


def wait_for_ctrl_c() -> None:
    """Waits until the user has had enough."""
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


@contextmanager
def page_of(solver: Solver, port: int, log_file: Path | None) -> Iterator[None]:
    """Shows the training of a solver for as long as the block runs, and keeps a record of it.

    Args:
        solver: which is about to train. port: of the page; 0 for any that is free.
        log_file: the log that is written of the training.

    Raises:
        PycaffeError: the port is in use, or the record cannot be written.
    """
    from pycaffe_lite.view.dashboard.recorder import Recorder
    from pycaffe_lite.view.dashboard.runs import LiveRun, others_in
    from pycaffe_lite.view.dashboard.server import PageServer

    server = PageServer(None, port)  # first: where the port is in use, nothing has been written
    try:
        recorder = Recorder(solver, log_file)
        path = recorder.path
        live = LiveRun(path.stem if path else solver.net.name or "training", recorder.record)
        server.show([live, *(others_in(path.parent, but=path) if path else [])])
        if recorder.earlier is not None:
            notice(f"What an earlier run's page showed is kept as {recorder.earlier}")
        notice(f"The page of this training is at {server.url}")
        state = "failed"
        try:
            yield
            state = "finished" if solver.iter >= solver.param.max_iter else "stopped"
        except KeyboardInterrupt:
            state = "stopped"
            raise
        finally:
            recorder.finish(state)
            if path is not None:
                notice(f"The page can be opened again with: pycaffe-lite dashboard {path}")
    finally:
        server.close()

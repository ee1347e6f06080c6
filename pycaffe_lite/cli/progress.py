"""The progress of a training run on the terminal: a bar, and test results above it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pycaffe_lite.cli.output import interactive, screen
from pycaffe_lite.net.evaluate import Score
from pycaffe_lite.solver import Solver

REFRESH_SECONDS = 0.1
FIELDS = "loss {task.fields[loss]:.4g}  lr {task.fields[rate]:.4g}  {task.fields[speed]:.0f} images/s"


@contextmanager
def watch(solver: Solver) -> Iterator[None]:
    """Shows how far `solver` is for as long as the block runs; nothing where stderr is no terminal."""
    if not interactive():
        yield
        return
    progress = Progress(
        TextColumn("{task.completed}/{task.total}"),
        BarColumn(),
        TextColumn(FIELDS),
        TimeRemainingColumn(),
        console=screen(),
    )
    view = _View(solver, progress)
    solver.add_callback(view.on_iteration, lambda: None)
    solver.after_test.append(view.on_test)
    with progress:
        yield
        view.update()


class _View:
    """Copies what the solver says into the bar, not more often than eyes can follow."""

    def __init__(self, solver: Solver, progress: Progress) -> None:
        self._solver = solver
        self._progress = progress
        self._task = progress.add_task(
            "", total=solver.param.max_iter, completed=solver.iter, loss=float("nan"), rate=0.0, speed=0.0
        )
        self._last_update = 0.0
        self._last_iter = solver.iter

    def on_iteration(self) -> None:
        if time.perf_counter() - self._last_update >= REFRESH_SECONDS:
            self.update()

    def update(self) -> None:
        now = time.perf_counter()
        solver = self._solver
        iterations = solver.iter - self._last_iter
        if iterations:
            images = iterations * solver.param.iter_size * _batch_size(solver)
            self._progress.update(
                self._task,
                completed=solver.iter,
                loss=solver.smoothed_loss,
                rate=solver.rate,
                speed=images / (now - self._last_update),
            )
        self._last_update, self._last_iter = now, solver.iter

    def on_test(self, index: int, scores: list[Score]) -> None:
        results = "  ".join(f"{score.name} = {score.value:.4g}" for score in scores)
        net = f" net #{index}" if len(self._solver.test_nets) > 1 else ""
        self._progress.print(f"iteration {self._solver.iter}, test{net}:  {results}")
        self._last_update, self._last_iter = time.perf_counter(), self._solver.iter


def _batch_size(solver: Solver) -> int:
    """Records in a batch of the train net: the first axis of its first blob."""
    first = next(iter(solver.net.blobs.values()))
    return first.shape[0] if first.shape else 1

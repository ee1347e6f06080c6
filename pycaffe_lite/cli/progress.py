"""A training run on the terminal: a progress bar, with test results and snapshots above it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pycaffe_lite.cli.output import SCREEN, interactive, say
from pycaffe_lite.cli.signals import SignalRequests
from pycaffe_lite.net.evaluate import FIRST, Output, Scores
from pycaffe_lite.net.timing import seconds_waited
from pycaffe_lite.solver import Solver
from pycaffe_lite.view.speed import MARKS_PER_SECOND, Speed, images_per_iteration

# Columns from which on there is room for a longer bar.
WIDE = 100


@contextmanager
def watch(solver: Solver, requests: SignalRequests) -> Iterator[None]:
    """Shows how far `solver` is for as long as the block runs; nothing if stderr is not a terminal."""
    if not interactive():
        yield
        return
    view = _View(solver, requests)
    with view.progress:
        yield
        view.finish()
    if solver.iter < solver.param.max_iter:
        say(f"Stopped after iteration {solver.iter}.")


class _View:
    """What the bar says of a solver at work."""

    def __init__(self, solver: Solver, requests: SignalRequests) -> None:
        self._solver = solver
        self._requests = requests
        self._first = solver.iter
        self._testing = ""
        self._finished = False
        self._speed = Speed(images_per_iteration(solver))
        self._waits = Speed(1)  # for the other ranks
        self.progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=20 if SCREEN.width >= WIDE else 5),
            _State(self),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=SCREEN,
            # It is drawn by a thread of its own, which takes time from the kernels.
            refresh_per_second=MARKS_PER_SECOND,
        )
        self._task = self.progress.add_task("", total=solver.param.max_iter, completed=solver.iter)
        solver.add_callback(self._on_iteration, lambda: None)
        solver.after_test_batch.append(self._on_test_batch)
        solver.after_test.append(self._on_test)
        solver.after_snapshot.append(self._on_snapshot)

    def state(self) -> str:
        """What the run is doing, in the words behind the bar."""
        if self._requests.stopping and not self._finished:
            return "stopping after this iteration, Ctrl-C: at once"
        if self._testing:
            return self._testing
        if self._solver.iter == self._first:
            return "starting"
        words = f"loss {self._solver.smoothed_loss:.4g}  lr {self._solver.rate:.3g}"
        if self._speed.images_per_second:
            words += f"  {self._speed.images_per_second:.0f} images/s"
        if self._speed.waited_ms:
            words += f"  {self._speed.waited_ms:.3g} ms waiting for data"
        if self._waits.waited_share:
            words += f"  {100 * self._waits.waited_share:.0f} % waiting for other ranks"
        return words

    def finish(self) -> None:
        """Draws the end of the run."""
        self._testing = ""
        self._finished = True
        self._update()

    def _update(self) -> None:
        self._speed.note(self._solver.iter, seconds_waited(self._solver.net))
        if self._solver.reduction is not None:
            self._waits.note(self._solver.iter, self._solver.reduction.seconds_waited)
        self.progress.update(self._task, completed=self._solver.iter)

    def _on_iteration(self) -> None:
        # Tests are no training, and the first iteration compiles kernels.
        if self._testing or self._solver.iter == self._first + 1:
            self._testing = ""
            self._speed.pause()
            self._waits.pause()
        if self._speed.is_due():
            self._update()

    def _on_test_batch(self, index: int, done: int) -> None:
        self._testing = f"testing, batch {done} of {self._solver.param.test_iter[index]}"

    def _on_test(self, index: int, scores: Scores) -> None:
        solver = self._solver
        if solver.iter == solver.param.max_iter:
            return  # the command prints the last results
        net = f" net #{index}" if len(solver.test_nets) > 1 else ""
        results = "  ".join(_brief(output) for output in scores.outputs)
        say(f"iteration {solver.iter}, test{net}:  {results}")

    def _on_snapshot(self, path: Path) -> None:
        say(f"iteration {self._solver.iter}, saved {path}", style="dim")


class _State(ProgressColumn):
    """Asks for the words whenever the bar is drawn."""

    def __init__(self, view: _View) -> None:
        super().__init__()
        self._view = view

    def render(self, task: Task) -> Text:
        return Text(self._view.state(), no_wrap=True, overflow="ellipsis")


def _brief(output: Output) -> str:
    """`accuracy = 0.9871`; of an output of many values, the first ones and how many there are."""
    values = " ".join(f"{value:.4g}" for value in output.values[:FIRST])
    more = f" ... ({output.values.size} values)" if output.values.size > FIRST else ""
    return f"{output.name} = {values}{more}"

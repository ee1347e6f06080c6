"""A training written down as event files, which TensorBoard shows."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.net.evaluate import Scores, output_scores
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.view.dashboard.layers import sampled
from pycaffe_lite.view.outputs import outputs_told

# Iterations from one value of the training loss to the next, for a solver without `display`.
INTERVAL = 100
# Between two times that what is written reaches the file.
FLUSH_SECONDS = 10


class EventWriter:
    """Writes what a solver does into a new event file of a folder, until it is closed.

    At each display: `train/loss`, the loss of that iteration, other outputs of the train net, `lr`, and
    `iterations_per_second` since the display before. At each test, the means of its outputs, and the weights
    before the next update, and their gradients, as histograms; of blobs of more than 65,536 values a sample.

    Args:
        solver: whose training is about to begin, or to go on: then what the folder's files hold from there on
            is no longer shown. folder: for the file; it is made if it is not there.

    Raises:
        PycaffeError: tensorboardX is not installed.
        DataError: no file can be written there.
    """

    def __init__(self, solver: Solver, folder: Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise PycaffeError(missing("--tensorboard", "tensorboardX", "tensorboard")) from None
        # It says at each value that is not finite that there is one; the training says so once.
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        try:
            self._writer: Any = SummaryWriter(
                str(folder), purge_step=solver.iter or None, flush_secs=FLUSH_SECONDS
            )
        except OSError as error:
            raise DataError(f"cannot write event files in '{folder}': {error.strerror}") from None
        self._solver = solver
        self._owners = [param for param in solver.net.param_table.params if param.owner is None]
        self._interval = solver.param.display if solver.param.display > 0 else INTERVAL
        self._is_tested = False
        self._first = solver.iter
        self._start_clock()
        solver.before_update.append(self._before_update)
        solver.after_update.append(self._after_update)
        solver.after_test.append(self._after_test)

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def _start_clock(self) -> None:
        self._clock, self._clock_iter = time.perf_counter(), self._solver.iter

    def _before_update(self, loss: float) -> None:
        step = self._solver.iter
        if self._is_tested:
            self._is_tested = False
            for param in self._owners:
                name = f"{param.layer.name}/{param.index}"
                self._add_histogram(f"weights/{name}", param.blob.data)
                self._add_histogram(f"gradients/{name}", param.blob.diff)
        if step % self._interval == 0:
            self._writer.add_scalar("train/loss", loss, step)
            self._add_outputs(output_scores(self._solver.net), "train", is_test=False)

    def _after_update(self) -> None:
        step = self._solver.iter - 1
        if step % self._interval == 0:
            self._writer.add_scalar("lr", self._solver.rate, step)
            if step > self._first:
                speed = (step + 1 - self._clock_iter) / (time.perf_counter() - self._clock)
                self._writer.add_scalar("iterations_per_second", speed, step)
            self._start_clock()

    def _after_test(self, index: int, scores: Scores) -> None:
        net = f"test_{index}" if len(self._solver.test_nets) > 1 else "test"
        self._add_outputs(scores, net, is_test=True)
        self._is_tested = True

    def _add_outputs(self, scores: Scores, net: str, *, is_test: bool) -> None:
        for told in outputs_told(scores, is_test=is_test):
            self._writer.add_scalar(f"{net}/{told.name}", told.mean, self._solver.iter)

    def _add_histogram(self, tag: str, values: Array) -> None:
        finite = sampled(values)
        finite = finite[np.isfinite(finite)].astype(np.float64)
        if len(finite):
            self._writer.add_histogram(tag, finite, self._solver.iter)

"""Watches a solver at work and notes what there is to see.

Whatever it does takes place in the thread that trains, between two steps of it, and reads only: the numbers
of the training are the same to the last bit. What takes time (looks at the weights, tests, files) is done as
often as it may be within a share of the time.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.formats.atomic import set_aside
from pycaffe_lite.net.evaluate import Scores, output_scores
from pycaffe_lite.net.timing import seconds_waited
from pycaffe_lite.solver.base import Solver
from pycaffe_lite.view.dashboard.graph import drawn_graph
from pycaffe_lite.view.dashboard.layers import LayerLook, first_kernels
from pycaffe_lite.view.dashboard.mistakes import Classification, MistakeCounter
from pycaffe_lite.view.dashboard.record import SUFFIX, Look, Panel, RunRecord, read_record
from pycaffe_lite.view.outputs import outputs_told
from pycaffe_lite.view.speed import Pace, Speed, images_per_iteration

log = logging.getLogger(__name__)

# Shares of the time, and seconds from one to the next at least.
LOOK_SHARE, LOOK_SECONDS = 0.004, 2.0
TEST_SHARE = 0.01
FILE_SHARE, FILE_SECONDS = 0.002, 20.0


class Recorder:
    """Notes what a solver does, for as long as it lives.

    Args:
        solver: whose training is about to begin, or to go on from a snapshot.
        log_file: the log that is written of it.

    Attributes:
        record: what there is to see. path: the file that keeps it, beside the snapshots; None without
            snapshot_prefix. earlier: to where the file of an earlier run has been renamed, if there was one.

    Raises:
        PycaffeError: the file cannot be written.
    """

    def __init__(self, solver: Solver, log_file: Path | None = None) -> None:
        self._solver = solver
        prefix = solver.param.snapshot_prefix
        folder_only = prefix.endswith(("/", "\\"))
        self.path = Path(f"{prefix}{'training' if folder_only else ''}{SUFFIX}") if prefix else None
        self.earlier: Path | None = None
        self.record = self._begun()
        self.record.graph = drawn_graph(solver.net)
        if log_file is not None and self.path is not None and log_file.parent == self.path.parent:
            self.record.log = log_file.name
        status = self.record.status
        status.state, status.is_live = "starting", True
        status.iteration, status.max_iter = solver.iter, solver.param.max_iter
        self._first = solver.iter
        if self.path is not None:
            self.record.write(self.path)
        self._loss = self.record.line("train loss", "train loss", "loss")
        self._rate = self.record.line("lr", "learning rate", "rate")
        self._speed = Speed(images_per_iteration(solver))
        self._look_pace = Pace(LOOK_SHARE, LOOK_SECONDS)
        self._test_pace = Pace(TEST_SHARE)
        self._file_pace = Pace(FILE_SHARE, FILE_SECONDS)
        self._look: LayerLook | None = None
        self._look_seconds = self._test_seconds = 0.0
        self._blobs = [Classification.of(net) for net in solver.test_nets]
        self._counter: MistakeCounter | None = None
        solver.before_update.append(self._before_update)
        solver.after_update.append(self._after_update)
        solver.after_test_batch.append(self._after_test_batch)
        solver.after_test.append(self._after_test)

    def _begun(self) -> RunRecord:
        """The record of the run that is resumed, up to here; a new one if there is none."""
        if self.path is None or not self.path.is_file():
            return RunRecord()
        if self._solver.iter:
            try:
                record = read_record(self.path)
            except PycaffeError as error:
                log.warning("%s: what it held of this run is not shown", error)
            else:
                record.cut(self._solver.iter - 1)  # what falls due at this iteration comes again
                return record
        self.earlier = set_aside(self.path)
        return RunRecord()

    def finish(self, state: str) -> None:
        """Notes how the training ended, and writes the file."""
        with self.record.lock:
            if self._solver.iter > self._first:  # it has trained since the last note, or since it began
                self._note_numbers()
            status = self.record.status
            status.state, status.is_live, status.iteration = state, False, self._solver.iter
            if self._solver.window.losses:  # the page may last have been told some iterations ago
                status.rate, status.loss = self._solver.rate, self._solver.smoothed_loss
            self.record.version += 1
        self._write()

    # ----------------------------------------------------------------------------------------- training

    def _before_update(self, loss: float) -> None:
        solver = self._solver
        with self.record.lock:
            self._loss.course.add(solver.iter, loss)
            if solver.param.display > 0 and solver.iter % solver.param.display == 0:
                self._note_outputs(output_scores(solver.net), "train", is_test=False)
        if self._look_pace.is_due():
            start = time.perf_counter()
            self._look = LayerLook(solver.net)
            self._look_seconds = time.perf_counter() - start

    def _after_update(self) -> None:
        solver = self._solver
        iteration = solver.iter - 1
        with self.record.lock:
            self._rate.course.add(iteration, solver.rate)
            if self._look is not None:
                self._finish_look(self._look, iteration)
            if self._speed.is_due():
                self._note_status()
        if self._file_pace.is_due():
            self._write()

    def _finish_look(self, look: LayerLook, iteration: int) -> None:
        start = time.perf_counter()
        blobs = look.finish()
        name, kernels = first_kernels(self._solver.net) or ("", None)
        self.record.look = Look(iteration, blobs, name, kernels)
        for blob in blobs:
            if blob.ratio is not None and len(blob.shape) > 1:  # weights rather than biases
                label = f"{blob.layer} [{blob.index}]" if blob.index else blob.layer
                line = self.record.line(f"ratio {blob.layer} {blob.index}", label, "ratio")
                line.course.add(iteration, blob.ratio)
        self._look = None
        self._look_pace.spent(self._look_seconds + time.perf_counter() - start)

    def _note_status(self) -> None:
        solver, speed, status = self._solver, self._speed, self.record.status
        if status.state != "training":
            # Tests are no training, and the first iteration compiles kernels.
            status.state = "training"
            speed.pause()
        speed.note(solver.iter, seconds_waited(solver.net))
        self._note_numbers()
        status.iterations_per_second = speed.iterations_per_second
        status.images_per_second, status.waited_ms = speed.images_per_second, speed.waited_ms
        self.record.version += 1

    def _note_numbers(self) -> None:
        status, solver = self.record.status, self._solver
        status.iteration, status.rate, status.loss = solver.iter, solver.rate, solver.smoothed_loss

    def _note_outputs(self, scores: Scores, net: str, *, is_test: bool) -> None:
        """Adds the outputs of a net to their lines."""
        for told in outputs_told(scores, is_test=is_test):
            label = f"{net} {told.name}"
            panel: Panel = "loss" if told.is_loss else "output"
            line = self.record.line(label, label, panel, is_test=is_test)
            line.course.add_range(self._solver.iter, told.low, told.mean, told.high)

    # ------------------------------------------------------------------------------------------ testing

    def _after_test_batch(self, index: int, done: int) -> None:
        if done == 1:
            with self.record.lock:
                self.record.status.state = "testing"
                self.record.version += 1
            blobs = self._blobs[index]
            is_last = self._solver.iter >= self._solver.param.max_iter
            is_seen = blobs is not None and (is_last or self._test_pace.is_due())
            self._counter = MistakeCounter(blobs) if is_seen and blobs is not None else None
        if self._counter is not None:
            start = time.perf_counter()
            self._counter.add()
            self._test_seconds += time.perf_counter() - start

    def _after_test(self, index: int, scores: Scores) -> None:
        net = f"test net {index}" if len(self._solver.test_nets) > 1 else "test"
        with self.record.lock:
            self._note_outputs(scores, net, is_test=True)
            if self._counter is not None:
                start = time.perf_counter()
                self.record.tests[index] = self._counter.result(self._solver.iter)
                self._test_pace.spent(self._test_seconds + time.perf_counter() - start)
                self._counter, self._test_seconds = None, 0.0
            self.record.version += 1

    # --------------------------------------------------------------------------------------------- file

    def _write(self) -> None:
        if self.path is None:
            return
        start = time.perf_counter()
        try:
            self.record.write(self.path)
        except PycaffeError as error:
            log.warning("%s; the training goes on without a record of it", error)
            self.path = None
        self._file_pace.spent(time.perf_counter() - start)

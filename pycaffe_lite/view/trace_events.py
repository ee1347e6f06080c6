"""Which thread ran which kernel when, as a file for a browser's trace viewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.kernels import Stretch, Timeline
from pycaffe_lite.net.evaluate import Scores
from pycaffe_lite.printable import printable
from pycaffe_lite.solver.base import Solver

# The tracks above those of the threads.
_PHASES, _LAYERS, _FIRST_THREAD = 0, 1, 2
# Iterations of a run before one is traced: the first shapes the blobs, the second is recorded.
ITERATIONS_BEFORE = 4


def write_trace(path: Path, stretches: Sequence[Stretch], name: str) -> None:
    """Writes a trace: tracks of the phases, the layers, and each thread with its kernels.

    Args:
        path: of the file. stretches: what was done, see `kernels.Timeline`. name: of the net.

    Raises:
        PycaffeError: it cannot be written.

    Source: "Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    trace = {"traceEvents": list(_events(stretches, name)), "displayTimeUnit": "ms"}
    with atomic_write(path, error=PycaffeError) as file:
        file.write(json.dumps(trace, indent=0).encode())


def _events(stretches: Sequence[Stretch], name: str) -> Iterable[dict[str, Any]]:
    if not stretches:
        return
    begin = min(stretch.start for stretch in stretches)
    callers_first = sorted(stretches, key=lambda stretch: (stretch.is_kernel, stretch.start))
    threads = dict.fromkeys(stretch.thread for stretch in callers_first)
    tracks = {thread: _FIRST_THREAD + i for i, thread in enumerate(threads)}
    titles = {_PHASES: "phases", _LAYERS: "layers"}
    titles |= {track: f"thread {track - _FIRST_THREAD}" for track in tracks.values()}
    yield {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": printable(name)}}
    for track, title in titles.items():
        yield {"name": "thread_name", "ph": "M", "pid": 1, "tid": track, "args": {"name": title}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": 1, "tid": track, "args": {"sort_index": track}}

    def event(track: int, what: str, kind: str, start: int, end: int, layer: str = "") -> dict[str, Any]:
        made = {"name": printable(what), "cat": kind, "ph": "X", "pid": 1, "tid": track}
        args = {"args": {"layer": printable(layer)}} if layer else {}
        return {**made, "ts": (start - begin) / 1e3, "dur": (end - start) / 1e3, **args}

    for phase, start, end in _phases(stretches):
        yield event(_PHASES, phase, "phase", start, end)
    for what, start, end in _layers(stretches):
        phase, _, layer = what.partition(" ")
        yield event(_LAYERS, layer, phase, start, end)
    for stretch in stretches:
        if stretch.is_kernel:
            phase, _, layer = stretch.what.partition(" ")
            yield event(tracks[stretch.thread], stretch.name, phase, stretch.start, stretch.end, layer)


def _layers(stretches: Sequence[Stretch]) -> Iterable[tuple[str, int, int]]:
    """What was done for each layer in each phase: from its first kernel to the end of its last one."""
    ends: dict[str, tuple[int, int]] = {}
    for stretch in stretches:
        what = stretch.what if stretch.is_kernel else stretch.name
        if what:
            start, end = ends.get(what, (stretch.start, stretch.end))
            ends[what] = min(start, stretch.start), max(end, stretch.end)
    for what, (start, end) in sorted(ends.items(), key=lambda item: item[1]):
        yield what, start, end


def _phases(stretches: Sequence[Stretch]) -> Iterable[tuple[str, int, int]]:
    ends: dict[str, tuple[int, int]] = {}
    for what, start, end in _layers(stretches):
        phase = what.partition(" ")[0]
        first, last = ends.get(phase, (start, end))
        ends[phase] = min(first, start), max(last, end)
    for phase, (start, end) in ends.items():
        yield phase, start, end


class IterationTracer:
    """Traces one iteration of a solver, some iterations after its training has begun.

    Args:
        solver: whose training is about to begin. then: called with what was done in that iteration.

    Attributes:
        is_done: whether that iteration is over.

    Raises:
        KernelError: this system has no clock for that.
    """

    def __init__(self, solver: Solver, then: Callable[[list[Stretch]], object]) -> None:
        self._solver, self._then = solver, then
        self._due = solver.iter + ITERATIONS_BEFORE
        self._timeline = Timeline()
        self._looking = ExitStack()
        self._is_looking = self._is_tested = self.is_done = False
        solver.after_update.append(self._after_update)
        solver.after_test.append(self._after_test)

    def _after_test(self, index: int, scores: Scores) -> None:
        self._is_tested = True  # which is no part of an iteration: the next one is traced

    def _after_update(self) -> None:
        if self._is_looking:
            self.close()
            if not self._is_tested:
                self.is_done = True
                self._then(self._timeline.stretches)
        if self._solver.iter >= self._due and not self.is_done:
            self._is_looking, self._is_tested = True, False
            self._timeline.stretches = []
            self._looking.enter_context(self._solver.net.timed_by(self._timeline))
            self._looking.enter_context(self._timeline)

    def close(self) -> None:
        """Stops looking, if an iteration is being traced."""
        self._is_looking = False
        self._looking.close()

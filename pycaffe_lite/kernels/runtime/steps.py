"""Running worker kernels, and recording their calls so that they can be replayed without Python.

One call is one step. The team (`runtime.team`) runs the steps of a recording one after another
(`runtime.calls`); its members wait for each other between two steps, which takes a fraction of a microsecond
if each has a core of its own. The Python code between two calls takes as long as the arithmetic of a small
layer, so code that repeats the same calls records them once (`record`) and replays them from then on.

The members of the team share out the tasks of a step. A step is over when no task is left and no member is
still at work on one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from pycaffe_lite.kernels.runtime.atomic import fetch_increment
from pycaffe_lite.kernels.runtime.calls import CALL_BYTES, LINE, Array, CallSignature, Tasks
from pycaffe_lite.kernels.runtime.compile import kernel
from pycaffe_lite.kernels.runtime.team import lead, team_of
from pycaffe_lite.kernels.runtime.threads import get_num_threads

PIECE = 16384  # numbers of a flat array in one task: 64 KB


@kernel
def take_task(tasks: Tasks, count: int) -> int:
    """The number of a task, of `count` in all, that nobody has taken yet; `count` where there is none left.

    Each worker begins with a share of neighbours, the same in every kernel: what it reads is then likely to
    be in the caches of its core still, from the kernel before. Who has done his share helps the others.
    """
    workers = tasks.taken.size // LINE
    for i in range(workers):
        owner = (tasks.worker + i) % workers
        first, end = owner * count // workers, (owner + 1) * count // workers
        if tasks.taken[owner * LINE] < end - first:
            task: int = first + fetch_increment(tasks.taken, owner * LINE)
            if task < end:
                return task
    return count


@kernel
def take_piece(tasks: Tasks, size: int) -> tuple[int, int]:
    """First and last + 1 of numbers in a flat array that nobody has taken yet; equal where none is left."""
    task = take_task(tasks, (size + PIECE - 1) // PIECE)
    return min(size, task * PIECE), min(size, (task + 1) * PIECE)


# ------------------------------------------------------------------------------------------- running steps


Arguments = tuple[int, Array, Array, int]
# From which step on steps are for what, in the words of those who record them.
Marks = Sequence[tuple[int, str]]


def _arguments(room: Array, rows: Array) -> Arguments:
    """Of `lead`, for the steps in a room."""
    workers = int(rows.max(initial=0))
    needed = rows.size * (workers + 1) * LINE
    counts = np.empty(needed + LINE, np.int64)
    start = -counts.ctypes.data // counts.itemsize % LINE
    return room.ctypes.data, rows, counts[start : start + needed], workers


class Watcher(Protocol):
    """Somebody who looks at how steps are run."""

    def lead(self, state: Array, arguments: Arguments, marks: Marks) -> None:
        """Runs steps in place of the team's own `lead`. marks: whose they are."""

    def see_loop(self, name: str, start: int) -> None:
        """Takes note of a parallel kernel that has run since `start`, in time.monotonic_ns()."""


watchers: list[Watcher] = []  # the last one is asked


def _run(arguments: Arguments, marks: Marks = ()) -> None:
    state = team_of(get_num_threads()).state
    if watchers:
        watchers[-1].lead(state, arguments, marks)
    else:
        lead(state, *arguments)


class Recording:
    """Recorded steps, in the order in which they ran.

    Attributes:
        whole: whether the steps are all that was done while they were recorded.
        marks: from which step on the steps are for what, for those who look at the times of steps.
    """

    def __init__(self) -> None:
        self.whole = True
        self.marks: list[tuple[int, str]] = []
        self._room = np.empty((1, CALL_BYTES), np.uint8)
        self._rows = np.empty(1, np.int64)
        self._used: list[tuple[Any, ...]] = []  # arrays that have to stay alive
        self._arguments: Arguments | None = None

    def __len__(self) -> int:
        return len(self._used)

    def write(self, signature: CallSignature, memory: Array, args: tuple[Any, ...]) -> None:
        """Add the call of a kernel. memory: its working memory, (workers, count)."""
        number = len(self._used)
        if number == len(self._rows):
            self._room = np.resize(self._room, (2 * number, CALL_BYTES))
            self._rows = np.resize(self._rows, 2 * number)
        signature.write(self._room, number * CALL_BYTES, memory, args)
        self._rows[number] = len(memory)
        self._used.append((memory, args))
        self._arguments = None

    def forget(self, start: int) -> None:
        """Remove the steps from number `start` on."""
        del self._used[start:]
        self.marks = [mark for mark in self.marks if mark[0] < start]
        self._arguments = None

    def run(self) -> None:
        """Replay the steps, on as many threads as there may be."""
        if self._arguments is None:
            self._arguments = _arguments(self._room, self._rows[: len(self._used)])
        _run(self._arguments, self.marks)

    def mark(self, what: str) -> None:
        """Say what the steps that follow are for."""
        self.marks.append((len(self._used), what))


class _Here(threading.local):
    """What belongs to the calling thread: room for one step, its arguments by workers, and its recording."""

    def __init__(self) -> None:
        self.room = np.empty((1, CALL_BYTES), np.uint8)
        self.arguments: dict[int, Arguments] = {}
        self.recording: Recording | None = None


_here = _Here()


def start(signature: CallSignature, memory: Array, args: tuple[Any, ...]) -> None:
    """Run a worker kernel, and record the call if a recording is going on."""
    here, workers = _here, len(memory)
    arguments = here.arguments.get(workers)
    if arguments is None:
        arguments = here.arguments[workers] = _arguments(here.room, np.array([workers]))
    room = here.room  # held by this frame: at the interpreter's end, what belongs to a thread goes before it
    signature.write(room, 0, memory, args)
    _run(arguments)
    if here.recording is not None:
        here.recording.write(signature, memory, args)


def break_recording() -> None:
    """Say that something is being done that is no step: a recording that is going on is not whole then."""
    if _here.recording is not None:
        _here.recording.whole = False


@contextmanager
def record() -> Iterator[Recording]:
    """Records the steps that the calling thread runs in the block."""
    before, _here.recording = _here.recording, Recording()
    try:
        yield _here.recording
    finally:
        _here.recording = before

"""Prefetcher: threads that make batches ahead of their use."""

from __future__ import annotations

import atexit
import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels import get_num_threads

# How long the end of the process waits for a batch in the making.
_PATIENCE_SECONDS = 5.0
# What a batch takes besides its values.
_BATCH_BYTES = 1000


@dataclass
class Batch:
    """Room for one batch, used again and again.

    Attributes:
        data: the items, float32; without meaning where there is `to_data`.
        pixels: (N, C, height, width) uint8, the items before they become floats, which happens when they are
            used: bytes take a quarter of the time to be written and read again.
        to_data: makes the items of the pixels; None where they stand in `data`.
        labels: (N,) float32.
        sizes: (N, 1, 1, 2) float32, heights and widths of pictures, where a layer has a top of them.
        others: values of further tops, where a layer has such.
        state: of the source behind this batch: what it needs to make the next.
    """

    data: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    labels: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    sizes: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    others: list[npt.NDArray[np.float32]] = field(default_factory=list)
    pixels: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    to_data: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.floating]], None] | None = None
    state: bytes = b""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the items."""
        return self.data.shape if self.to_data is None else self.pixels.shape

    def make_room(self, shape: tuple[int, ...], labels: int) -> None:
        """Gives `data` a shape, and `labels` a length; their values may be anything then."""
        self.to_data = None
        if self.data.shape != shape:
            self.data = np.empty(shape, np.float32)
        self._make_room_for_labels(labels)

    def make_room_for_pixels(
        self,
        shape: tuple[int, ...],
        labels: int,
        to_data: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.floating]], None],
    ) -> None:
        """Gives `pixels` a shape, and `labels` a length; their values may be anything then."""
        self.to_data = to_data
        if self.pixels.shape != shape:
            self.pixels = np.empty(shape, np.uint8)
        self._make_room_for_labels(labels)

    def _make_room_for_labels(self, labels: int) -> None:
        if len(self.labels) != labels:
            self.labels = np.empty(labels, np.float32)

    def write_data(self, out: npt.NDArray[np.floating]) -> None:
        """Writes the items into an array of their shape."""
        if self.to_data is None:
            out[...] = self.data
        else:
            self.to_data(self.pixels, out)


def memory_of(batch_values: int, depth: int) -> int:
    """Bytes that `depth` batches take, each of so many float32 values."""
    return depth * (4 * batch_values + _BATCH_BYTES)


def machine_memory() -> float:
    """Bytes of this machine's memory; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


class Work(Protocol):
    """A batch that is planned: what is drawn for it is drawn, what remains can be done by several threads.

    Attributes:
        pieces: how many parts the work has.
        state: of the source behind this batch.
    """

    pieces: int
    state: bytes

    def run(self, piece: int, batch: Batch) -> None:
        """Does one part. Parts are begun in their order; one may wait for another that was begun before."""

    def finish(self, batch: Batch) -> None:
        """What is left when all parts are done."""


class Source(Protocol):
    """What batches are made of."""

    def plan(self) -> Work:
        """Takes the next batch's items, and draws; by one thread at a time, and quick."""


class Prefetcher:
    """Batches of a source, made by threads as long as fewer than `depth` are waiting.

    One thread at a time plans a batch; all of them do the work. So the batches and their order are the same
    for any number of threads. The threads know nothing of the prefetcher and of its owner: they end when the
    prefetcher is closed or forgotten, and with the process.

    Args:
        source: of the batches; it belongs to the threads until `close`.
        depth: how many batches to keep.
        name: of the threads.
        threads: how many there may be, of which there are as many as find work. None: as many as kernels use.

    Attributes:
        seconds_waited: for how long `get` has waited, in all.
    """

    def __init__(self, source: Source, depth: int, name: str, threads: int | None = None) -> None:
        self.seconds_waited = 0.0
        self._process = os.getpid()
        self._error: BaseException | None = None
        self._line = _Line(source, depth, threads or get_num_threads(), name)
        self._stop = weakref.finalize(self, self._line.stop)
        self._stop.atexit = False  # _end_threads does more
        self._line.start()

    def get(self) -> Batch:
        """The next batch, once it is there. It must be given back.

        Raises:
            DataError: and whatever else the source raised while it made the batch.
        """
        if os.getpid() != self._process:
            raise DataError(
                "reads its data in a thread that a forked process does not have: make the net in the process "
                "that runs it"
            )
        if self._error is None:
            start = time.monotonic()
            made = self._line.made.get()
            self.seconds_waited += time.monotonic() - start
            if isinstance(made, Batch):
                return made
            # Kept here, not in the line: the traceback knows this object, which the line must not.
            self._error = made
        raise self._error

    def give_back(self, batch: Batch) -> None:
        """Returns a batch whose values are no longer needed."""
        self._line.take_back(batch)

    def close(self) -> None:
        """Ends the threads; batches made but not taken are lost."""
        self._stop()
        self._line.join()


class _Job:
    """A batch in the making."""

    def __init__(self, batch: Batch, work: Work | None, error: BaseException | None = None) -> None:
        self.batch = batch
        self.work = work
        self.pieces = work.pieces if work else 0
        self.left = self.pieces  # those that are not done
        self.error = error
        self.failed = -1  # the piece that the error comes from: that of the first piece counts
        self.is_ready = work is None

    def run(self, piece: int) -> BaseException | None:
        """Does a piece, or finishes the batch where all are done; returns what was raised."""
        assert self.work is not None
        try:
            if piece < self.pieces:
                self.work.run(piece, self.batch)
            else:
                self.work.finish(self.batch)
                self.batch.state = self.work.state
        except BaseException as error:
            return error
        return None


class _Line:
    """What the threads work on: batches free to be filled come in, batches made go out, in order.

    Whatever may happen when the garbage collector runs, `stop`, does without the lock: the collector runs in
    any thread, also in one that holds it.
    """

    def __init__(self, source: Source, depth: int, threads: int, name: str) -> None:
        self.made: SimpleQueue[Batch | BaseException] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self._source = source
        self._most_threads = threads
        self._name = name
        self._is_over = False  # after an error, or when told to stop
        self._calls: SimpleQueue[None] = SimpleQueue()  # each wakes an idle thread
        # What follows is for who holds the lock.
        self._lock = threading.Lock()
        self._idle = 0
        self._new = depth  # batches that may still be made
        self._free: list[Batch] = []
        self._is_planning = False
        self._jobs: deque[_Job] = deque()  # not delivered yet, in order
        self._pieces: deque[tuple[_Job, int]] = deque()  # not begun yet, in order
        _lines.add(self)

    def start(self) -> None:
        """Starts the first thread."""
        with self._lock:
            self._add_thread()

    def _add_thread(self) -> None:
        name = f"{self._name}, {len(self.threads) + 1}" if self.threads else self._name
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _work(self) -> None:
        """Does pieces until there is no more to do; an error goes to whoever waits for the batch."""
        try:
            while (task := self._next()) is not None:
                self._do(*task)
                del task  # a thread that waits keeps no batch alive
        except BaseException as error:
            self._is_over = True
            self.made.put(error)

    def _next(self) -> tuple[_Job, int] | None:
        """The next piece; None for the end. Plans another batch first where pieces run short."""
        while not self._is_over:
            batch = None
            with self._lock:
                if self._may_plan():
                    self._is_planning = True
                    batch = self._room()
                elif self._pieces:
                    return self._pieces.popleft()
                else:
                    self._idle += 1
            if batch is None:
                self._calls.get()
            else:
                self._plan(batch)
        return None

    def _may_plan(self) -> bool:
        has_room = bool(self._free or self._new)
        return has_room and not self._is_planning and len(self._pieces) < len(self.threads)

    def _room(self) -> Batch:
        """A batch to be filled, used before if one is free."""
        if self._free:
            return self._free.pop()
        self._new -= 1
        return Batch()

    def _plan(self, batch: Batch) -> None:
        """Plans the next batch, and gets other threads to work on what one alone does not do at once."""
        try:
            job = _Job(batch, self._source.plan())
        except BaseException as error:
            job = _Job(batch, None, error)
        with self._lock:
            self._is_planning = False
            self._jobs.append(job)
            self._pieces.extend((job, piece) for piece in range(job.left))
            self._deliver()
            more = len(self._pieces) - 1
            more -= self._wake(more)
            for _ in range(0 if self._is_over else min(more, self._most_threads - len(self.threads))):
                try:
                    self._add_thread()
                except RuntimeError:  # the system gives no more
                    self._most_threads = len(self.threads)
                    break

    def _wake(self, count: int) -> int:
        """Wakes so many idle threads, or all that there are; returns how many."""
        count = max(min(count, self._idle), 0)
        self._idle -= count
        for _ in range(count):
            self._calls.put(None)
        return count

    def _do(self, job: _Job, piece: int) -> None:
        """Does a piece of a batch, and delivers the batch where it was the last."""
        error = job.run(piece)
        with self._lock:
            job.left -= 1
            if error is not None and (job.error is None or piece < job.failed):
                job.error, job.failed = error, piece
            is_last = not job.left
        if not is_last:
            return
        if job.error is None:
            job.error = job.run(job.pieces)
        with self._lock:
            job.is_ready = True
            self._deliver()

    def _deliver(self) -> None:
        """Hands over the batches that are ready, up to the first that is not, or to an error."""
        while self._jobs and self._jobs[0].is_ready and not self._is_over:
            job = self._jobs.popleft()
            if job.error is not None:
                self.stop()
                self.made.put(job.error)
            else:
                self.made.put(job.batch)

    def take_back(self, batch: Batch) -> None:
        """Takes a batch to be filled again."""
        with self._lock:
            self._free.append(batch)
            self._wake(1)

    def stop(self) -> None:
        """Tells the threads to end after the pieces in the making."""
        self._is_over = True
        for _ in range(self._most_threads):
            self._calls.put(None)

    def join(self, seconds: float | None = None) -> None:
        """Waits for the threads' end, for each so long at most."""
        for thread in self.threads:  # also for those that are added meanwhile
            thread.join(seconds)


_lines: weakref.WeakSet[_Line] = weakref.WeakSet()


@atexit.register
def _end_threads() -> None:
    """Ends all threads before the interpreter takes the memory away under them.

    They are daemons and keep no process alive; but a daemon that is still at work then may crash it.
    """
    lines = list(_lines)
    for line in lines:
        line.stop()
    for line in lines:
        line.join(_PATIENCE_SECONDS)

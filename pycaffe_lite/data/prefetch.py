"""Prefetcher: a thread that makes batches ahead of their use."""

from __future__ import annotations

import atexit
import math
import os
import threading
import weakref
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError

# How long the end of the process waits for a batch in the making.
_PATIENCE_SECONDS = 5.0
# What a batch takes besides its values.
_BATCH_BYTES = 1000


@dataclass
class Batch:
    """Room for one batch, used again and again.

    Attributes:
        data: the items, float32.
        labels: (N,) float32.
        state: of the source behind this batch: what it needs to make the next.
    """

    data: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    labels: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    state: bytes = b""


def memory_of(batch_values: int, depth: int) -> int:
    """Bytes that `depth` batches take, each of so many float32 values."""
    return depth * (4 * batch_values + _BATCH_BYTES)


def machine_memory() -> float:
    """Bytes of this machine's memory; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


class Source(Protocol):
    """What makes batches."""

    def fill(self, batch: Batch) -> None:
        """Makes the next batch, in the room of an old one."""


class Prefetcher:
    """Batches of a source, made by a thread as long as fewer than `depth` are waiting.

    The thread knows nothing of the prefetcher and of its owner: it ends when the prefetcher is closed or
    forgotten, and with the process.

    Args:
        source: makes the batches; it belongs to the thread until `close`.
        depth: how many batches to keep.
        name: of the thread.
    """

    def __init__(self, source: Source, depth: int, name: str) -> None:
        self._process = os.getpid()
        self._error: BaseException | None = None
        self._line = _Line(source, depth)
        self._stop = weakref.finalize(self, self._line.stop)
        self._stop.atexit = False  # _end_threads does more
        self._line.thread.name = name
        self._line.thread.start()

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
            made = self._line.made.get()
            if isinstance(made, Batch):
                return made
            # Kept here, not in the line: the traceback knows this object, which the line must not.
            self._error = made
        raise self._error

    def give_back(self, batch: Batch) -> None:
        """Returns a batch whose values are no longer needed."""
        self._line.free.put(batch)

    def close(self) -> None:
        """Ends the thread; batches made but not taken are lost."""
        self._stop()
        self._line.thread.join()


class _Line:
    """What the thread works on: batches free to be filled come in, batches made go out."""

    def __init__(self, source: Source, depth: int) -> None:
        self.source = source
        self.new = depth  # batches that may still be made
        self.free: SimpleQueue[Batch | None] = SimpleQueue()
        self.made: SimpleQueue[Batch | BaseException] = SimpleQueue()
        self.stopped = False
        self.thread = threading.Thread(target=self._work, daemon=True)
        _lines.add(self)

    def _work(self) -> None:
        """Fills batches until told to stop; an error goes to whoever waits for the batch."""
        try:
            while (batch := self._next_room()) is not None and not self.stopped:
                self.source.fill(batch)
                self.made.put(batch)
        except BaseException as error:
            self.made.put(error)

    def _next_room(self) -> Batch | None:
        """A batch to be filled, used before if one is free; None for the end."""
        if self.new and self.free.empty():
            self.new -= 1
            return Batch()
        return self.free.get()

    def stop(self) -> None:
        """Tells the thread to end after the batch in the making."""
        self.stopped = True
        self.free.put(None)


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
        line.thread.join(_PATIENCE_SECONDS)

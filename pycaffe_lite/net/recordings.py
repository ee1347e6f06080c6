"""What a net has recorded of its passes: the kernels of their parts, for several shapes of its blobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from pycaffe_lite.blob import Blob, Changes
from pycaffe_lite.kernels import Recording, get_num_threads
from pycaffe_lite.net.parts import Part


class Replay(Protocol):
    """Recorded parts of a pass, to be run in their place.

    Attributes:
        end: index of the part behind the recorded ones.
    """

    end: int

    def run(self, loss: float) -> float:
        """Runs them on the present values; returns the loss with their shares added."""


class PlainReplay:
    """The recorded kernels of some neighbouring parts, with the calls around them.

    Args:
        recording: the kernels. parts: whose they are. end: index of the part behind these.
    """

    def __init__(self, recording: Recording, parts: Sequence[Part], end: int) -> None:
        self.end = end
        self._recording = recording
        self._before: list[Callable[[], object]] = list(
            dict.fromkeys(call for part in parts for call in part.before)
        )
        self._after = [call for part in parts for call in part.after]

    def run(self, loss: float) -> float:
        """Runs the kernels on the present values; returns the loss with the parts' shares added."""
        for call in self._before:
            call()
        self._recording.run()
        for finish in self._after:
            loss += finish()
        return loss


Variant = dict[int, Replay | None]  # by the first part; None: a part that cannot be replayed
Variants = dict[Hashable, Variant]  # for blobs of certain shapes, by which gradients were clear


class Recordings:
    """What a net's passes have recorded, for several shapes of its blobs.

    Recorded kernels hold on to the memory that they work on, so all recordings are dropped as soon as any
    blob of the net has other memory. They are dropped as well if the number of threads changes, or if another
    of Python's threads runs the net, since they use the working memory of the thread that recorded them. A
    net that goes back and forth between a few shapes, those of an image pyramid say, keeps its memory once it
    has seen the largest.

    Args:
        blobs: all blobs that the net's layers work on. changes: counts these blobs' changes.
    """

    MOST_SHAPES = 16  # per segment
    MOST_VARIANTS = 8  # only backward passes need several: gradients were cleared before, or they were not

    def __init__(self, blobs: Sequence[Blob], changes: Changes) -> None:
        self.changes = changes
        self._blobs = blobs
        self._seen = -1  # the number of changes when the memory was looked at
        self._memory: list[tuple[int, int]] = []
        self._runs_on: tuple[int, int] = (0, 0)
        self._by_shapes: dict[int, dict[Hashable, Variants]] = {}  # by segment, and by shapes
        self._current: dict[int, Variants] = {}  # by segment

    def check(self) -> None:
        """Drops all recordings if they are out of date."""
        runs_on = get_num_threads(), threading.get_ident()
        if self._seen != self.changes.number:
            self._seen = self.changes.number
            memory = [blob.memory for blob in self._blobs]
            if memory != self._memory:
                self._memory = memory
                self.drop()
        if runs_on != self._runs_on:
            self._runs_on = runs_on
            self.drop()

    def drop(self) -> None:
        """Drops all recordings."""
        self._by_shapes, self._current = {}, {}

    def current(self, segment: int) -> Variants | None:
        """What was recorded of a segment for the shapes that it last had; None if these were dropped."""
        return self._current.get(segment)

    def of_shapes(self, segment: int, shapes: Hashable) -> Variants:
        """What was recorded of a segment for blobs of these shapes, from now on the current ones.

        The shapes that were used last are kept longest.
        """
        held = self._by_shapes.setdefault(segment, {})
        variants = held.pop(shapes, None)
        if variants is None and len(held) == self.MOST_SHAPES:
            del held[next(iter(held))]
        variants = held[shapes] = self._current[segment] = {} if variants is None else variants
        return variants

"""How fast a training runs, and how long it waits for data."""

from __future__ import annotations

import time
from collections import deque

from pycaffe_lite.solver.base import Solver

# How often the place of the run is noted: not more often than somebody looks.
MARKS_PER_SECOND = 4
# The speed is that of the last seconds: over less time it would flicker.
SPEED_SECONDS = 3.0
# What an iteration waits for data is told where it is a hundredth of the time, over a second at least.
LEAST_SHARE = 0.01
LEAST_SECONDS = 1.0


class Speed:
    """Over the last seconds of training: images in a second, and how long an iteration waits for data.

    Args:
        images_per_iteration: how many images an iteration takes.

    Attributes:
        iterations_per_second, images_per_second: 0 until they are known.
        waited_ms: of an iteration; 0 where it is less than a hundredth of the time.
        waited_share: of the time; 0 likewise.
    """

    def __init__(self, images_per_iteration: int) -> None:
        self.iterations_per_second = 0.0
        self.waited_ms = self.waited_share = 0.0
        self._images = images_per_iteration
        self._marks: deque[tuple[float, int, float]] = deque()

    @property
    def images_per_second(self) -> float:
        """Images in a second."""
        return self.iterations_per_second * self._images

    def is_due(self) -> bool:
        """Whether it is time to note where the run is."""
        return not self._marks or time.monotonic() - self._marks[-1][0] >= 1 / MARKS_PER_SECOND

    def note(self, iteration: int, waited: float) -> None:
        """Takes in that so many iterations are done, and for how many seconds they have waited for data."""
        now = time.monotonic()
        self._marks.append((now, iteration, waited))
        while len(self._marks) > 2 and now - self._marks[0][0] > SPEED_SECONDS:
            self._marks.popleft()
        since, first, waited_then = self._marks[0]
        if iteration > first:
            self.iterations_per_second = (iteration - first) / (now - since)
        if now - since >= LEAST_SECONDS and iteration > first:
            waits = waited - waited_then >= LEAST_SHARE * (now - since)
            self.waited_share = (waited - waited_then) / (now - since) if waits else 0.0
            self.waited_ms = 1e3 * (waited - waited_then) / (iteration - first) if waits else 0.0

    def pause(self) -> None:
        """Leaves out the time since the last iteration: it was spent otherwise."""
        self._marks.clear()


class Pace:
    """When something that costs time is due again, so that it takes no more than a share of all time.

    Args:
        share: of the time, 0 to 1. least_seconds: from one time to the next, whatever it costs.
    """

    def __init__(self, share: float, least_seconds: float = 0.0) -> None:
        self._share, self._least = share, least_seconds
        self._due = 0.0

    def is_due(self) -> bool:
        """Whether enough time has gone by."""
        return time.monotonic() >= self._due

    def spent(self, seconds: float) -> None:
        """Says that it has been done just now, and took so long."""
        self._due = time.monotonic() + max(self._least, seconds / self._share)


def images_per_iteration(solver: Solver) -> int:
    """How many images an iteration takes, on all ranks together."""
    return images_of_rank(solver) * (solver.ranks.count if solver.ranks else 1)


def images_of_rank(solver: Solver) -> int:
    """How many this process takes: iter_size times the first axis of the train net's first blob."""
    first = next(iter(solver.net.blobs.values()))
    return (first.shape[0] if first.shape else 1) * solver.param.iter_size

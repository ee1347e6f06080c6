"""The course of a number over a training, in bounded memory."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Points of a course; beyond that, neighbours are taken together. A screen has fewer columns.
MOST_POINTS = 1 << 14


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a course, each of which stands for one value or for several neighbours.

    Attributes:
        x: (n,) iterations, increasing; of several values, that of the last.
        low, mean, high: (n,) of the values that a point stands for; NaN where none is finite.
    """

    x: Values
    low: Values
    mean: Values
    high: Values

    def __len__(self) -> int:
        return len(self.x)

    @property
    def is_exact(self) -> bool:
        """Whether each point stands for one value."""
        return bool(np.array_equal(self.low, self.high, equal_nan=True))

    def between(self, first: float, last: float) -> Points:
        """The points from `first` to `last`, and one on either side, so that lines go on beyond the edges."""
        begin = max(0, int(np.searchsorted(self.x, first)) - 1)
        end = int(np.searchsorted(self.x, last, side="right")) + 1
        return Points(self.x[begin:end], self.low[begin:end], self.mean[begin:end], self.high[begin:end])

    def at_most(self, count: int) -> Points:
        """As many points at most; least and largest values are kept."""
        if len(self) <= count:
            return self
        starts = np.arange(count) * len(self) // count
        ends = np.append(starts[1:], len(self))
        there = np.isfinite(self.mean)
        sums = np.add.reduceat(np.where(there, self.mean, 0.0), starts)
        numbers = np.add.reduceat(there.astype(np.float64), starts)
        with np.errstate(invalid="ignore"):
            mean = sums / numbers
        low, high = np.fmin.reduceat(self.low, starts), np.fmax.reduceat(self.high, starts)
        return Points(self.x[ends - 1], low, mean, high)


class Course:
    """The course of a number: value after value, in memory for MOST_POINTS points at most.

    Each point stands for `width` values: one at first, twice as many whenever the memory is full.

    Attributes:
        width: how many values a point stands for. last: the latest value; NaN before the first.
    """

    def __init__(self) -> None:
        self.width = 1
        self.last = float("nan")
        self._columns = [array("d") for _ in range(4)]  # x, low, mean, high
        self._begun: list[tuple[float, float, float, float]] = []  # values of the point that is not full yet

    def add(self, iteration: int, value: float) -> None:
        """Adds a value; iterations increase."""
        self.add_range(iteration, value, value, value)

    def add_range(self, iteration: float, low: float, mean: float, high: float) -> None:
        """Adds what is known of several values of one iteration."""
        self.last = mean
        if self.width > 1:
            self._begun.append((iteration, low, mean, high))
            if len(self._begun) < self.width:
                return
            iteration, low, mean, high = _together(self._begun)
            self._begun = []
        for column, value in zip(self._columns, (iteration, low, mean, high), strict=True):
            column.append(value)
        if len(self._columns[0]) == MOST_POINTS:
            self._set(self._full().at_most(MOST_POINTS // 2))
            self.width *= 2

    def _full(self) -> Points:
        return Points(*(np.array(column) for column in self._columns))

    def _set(self, points: Points) -> None:
        columns = points.x, points.low, points.mean, points.high
        self._columns = [array("d", np.ascontiguousarray(column).tobytes()) for column in columns]

    def points(self) -> Points:
        """All points, in memory of their own."""
        columns = [np.array(column) for column in self._columns]
        if self._begun:
            columns = [np.append(a, b) for a, b in zip(columns, _together(self._begun), strict=True)]
        return Points(*columns)

    def cut(self, last: int) -> None:
        """Forgets what comes after an iteration, because the run goes on from there."""
        points = self.points()
        count = int(np.searchsorted(points.x, last, side="right"))
        self._begun = []
        self._set(Points(points.x[:count], points.low[:count], points.mean[:count], points.high[:count]))

    @classmethod
    def of(cls, points: Points, width: int = 1) -> Course:
        """A course with these points, each of which stands for `width` values; more are to come, perhaps."""
        course = cls()
        course.width = width
        while len(points) >= MOST_POINTS:
            points = points.at_most(max(1, MOST_POINTS // 2))
            course.width *= 2
        course._set(points)
        if len(points):
            course.last = float(points.mean[-1])
        return course


def _together(values: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """One point for several."""
    x, low, mean, high = np.array(values).T
    one = Points(x, low, mean, high).at_most(1)
    return float(one.x[0]), float(one.low[0]), float(one.mean[0]), float(one.high[0])

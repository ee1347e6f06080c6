"""Timer: a stopwatch, pycaffe's class."""

from __future__ import annotations

import time


class Timer:
    """Measures the time between `start()` and `stop()`."""

    def __init__(self) -> None:
        self._started: float | None = None
        self._elapsed = 0.0

    def start(self) -> None:
        """Starts the watch; not anew where it runs."""
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """Stops the watch, where it runs."""
        if self._started is not None:
            self._elapsed = time.perf_counter() - self._started
            self._started = None

    @property
    def ms(self) -> float:
        """Milliseconds between the latest start and stop, up to now where it still runs; 0 before any."""
        if self._started is not None:
            return 1000 * (time.perf_counter() - self._started)
        return 1000 * self._elapsed

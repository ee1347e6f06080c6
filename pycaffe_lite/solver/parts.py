"""What forks' settings may add to a solver: protocols, which `base` knows of such parts."""

from __future__ import annotations

from typing import Protocol


class SolverPart(Protocol):
    """Something with a state of its own that a snapshot holds beside the history."""

    def state(self) -> bytes:
        """What it needs to go on exactly."""

    def fits(self, state: bytes) -> bool:
        """Whether it can go on from such a state."""

    def set_state(self, state: bytes) -> None:
        """Goes on from a state that fits; starts afresh if it is empty."""


class LocalRates(Protocol):
    """What gives each parameter a rate of its own, see `local_rates`."""

    def rates(self, rate: float, factor: float) -> list[float]:
        """The rate of each parameter, from the solver's and the factor of the gradients."""

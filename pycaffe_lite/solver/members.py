"""What a solver shows of itself, and nobody else changes."""

from __future__ import annotations

from pycaffe_lite.net.net import Net
from pycaffe_lite.solver.rate import Progress


class Members:
    """A solver's nets and its place in the run; assigning to one raises AttributeError, as in pycaffe."""

    _iter: int
    _net: Net
    _test_nets: list[Net]
    progress: Progress

    @property
    def iter(self) -> int:
        """The number of iterations done."""
        return self._iter

    @property
    def current_step(self) -> int:
        """Rate steps taken by a stepwise lr_policy."""
        return self.progress.current_step

    @property
    def net(self) -> Net:
        """The train net."""
        return self._net

    @property
    def test_nets(self) -> list[Net]:
        """The nets that are tested every test_interval iterations."""
        return self._test_nets

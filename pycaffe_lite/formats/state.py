"""What a solver needs to go on: the contents of a .solverstate file."""

from __future__ import annotations

from dataclasses import dataclass

from pycaffe_lite.formats.model import Array


@dataclass(frozen=True)
class SolverState:
    """A solver between two iterations.

    Attributes:
        iter: number of iterations done.
        learned_net: name of the weights file that belongs to it, as it was written.
        current_step: number of rate steps taken (lr_policy step and multistep).
        history: the solver's memory of past gradients, in Caffe's order.
        minimum_loss, iter_last_event: what lr_policy plateau and sgdr keep, as in SSD's fork; None in files
            without it.
        resume: what exact continuation takes beyond that; None in Caffe's own files.
    """

    iter: int
    learned_net: str
    current_step: int
    history: tuple[Array, ...]
    resume: bytes | None = None
    minimum_loss: float | None = None
    iter_last_event: int | None = None

"""What learning rate policies look at, and what they give."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

NO_LOSS = float(np.finfo(np.float32).max)


class Progress(NamedTuple):
    """How far a policy has got, and the loss that it may look at.

    Attributes:
        current_step: number of rate steps taken, by a stepwise policy.
        minimum_loss: the smallest smoothed loss so far (plateau).
        last_event: the iteration of that loss, or of the last step or restart (plateau, sgdr).
        loss: the smoothed loss now; infinite if there is none yet.
    """

    current_step: int = 0
    minimum_loss: float = NO_LOSS
    last_event: int = 0
    loss: float = math.inf


class Rate(NamedTuple):
    """A learning rate, and how far its policy has got with it."""

    value: float
    progress: Progress


def power(base: float, exponent: float) -> float:
    """base^exponent as C computes it: infinite if it overflows, NaN if it is not real."""
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(base), np.float64(exponent)))

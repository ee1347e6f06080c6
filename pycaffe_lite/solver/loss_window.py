"""The smoothed loss: a mean over the last iterations, for display."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class LossWindow:
    """The mean of the last `average_loss` losses since the window's start.

    Attributes:
        size: average_loss, how many iterations count.
        start: the iteration with which the window began.
        losses: the losses that count now, a ring once it is full.
    """

    size: int
    start: int = 0
    losses: list[float] = field(default_factory=list)

    def add(self, loss: float, iteration: int) -> None:
        """Adds the loss of an iteration."""
        if len(self.losses) < self.size:
            self.losses.append(loss)
        else:
            self.losses[(iteration - self.start) % self.size] = loss

    @property
    def smoothed(self) -> float:
        """The mean of `losses`; 0 if there are none yet.

        Caffe keeps a running mean: it adds the new loss and subtracts the one that leaves. Such a mean never
        recovers from an infinity, and loses the digits of all other losses to a huge one. Summing anew takes
        some microseconds for a hundred losses, and only happens when the mean is asked for.
        """
        losses = self.losses.copy()  # the progress bar asks from another thread
        try:
            return math.fsum(loss / len(losses) for loss in losses)
        except ValueError:  # infinities of both signs
            return math.nan

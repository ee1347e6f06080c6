"""The smoothed loss: a mean over the last iterations, for display."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LossWindow:
    """The mean of the last `average_loss` losses since the window's start.

    Attributes:
        size: average_loss, how many iterations count.
        start: the iteration the window began with.
        losses: the losses that count now, a ring once it is full.
        smoothed: their mean, kept up incrementally as Caffe does.
    """

    size: int
    start: int = 0
    losses: list[float] = field(default_factory=list)
    smoothed: float = 0.0

    def add(self, loss: float, iteration: int) -> None:
        """Takes in the loss of an iteration."""
        if len(self.losses) < self.size:
            self.losses.append(loss)
            count = len(self.losses)
            self.smoothed = (self.smoothed * (count - 1) + loss) / count
        else:
            place = (iteration - self.start) % self.size
            self.smoothed += (loss - self.losses[place]) / self.size
            self.losses[place] = loss

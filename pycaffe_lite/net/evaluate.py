"""Mean outputs of a net over several batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pycaffe_lite.net.net import Net


@dataclass(frozen=True)
class Score:
    """One element of an output blob: its mean, and the blob's weight in the loss (0: none)."""

    name: str
    value: float
    loss_weight: float

    def __str__(self) -> str:
        """`loss = 0.25 (* 1 = 0.25 loss)`, as Caffe's log has it."""
        text = f"{self.name} = {self.value:g}"
        if self.loss_weight:
            text += f" (* {self.loss_weight:g} = {self.loss_weight * self.value:g} loss)"
        return text


def output_scores(net: Net) -> list[Score]:
    """Every element of every output blob as it stands, in the order of the outputs."""
    return [
        Score(name, float(value), net.blob_loss_weights[name])
        for name in net.outputs
        for value in net.blobs[name].data.ravel()
    ]


class ScoreSum:
    """Adds up the outputs of several forward passes, element by element."""

    def __init__(self) -> None:
        self.count = 0
        self.loss = 0.0
        self._sums: list[Score] = []

    def add(self, loss: float, scores: list[Score]) -> None:
        """Takes in one forward pass; where a later batch has fewer elements, only these are added."""
        self.count += 1
        self.loss += loss
        if not self._sums:
            self._sums = scores
        else:
            for i, (total, new) in enumerate(zip(self._sums, scores, strict=False)):
                self._sums[i] = Score(total.name, total.value + new.value, total.loss_weight)

    def mean_loss(self) -> float:
        """The mean loss of the passes."""
        return self.loss / self.count

    def means(self) -> list[Score]:
        """The mean of each element."""
        return [Score(s.name, s.value / self.count, s.loss_weight) for s in self._sums]


def evaluate(
    net: Net, iterations: int, on_batch: Callable[[int, list[Score]], object] = lambda i, scores: None
) -> ScoreSum:
    """Runs `iterations` forward passes; calls `on_batch(index, scores)` after each."""
    total = ScoreSum()
    for i in range(iterations):
        loss = net.forward_loss()
        scores = output_scores(net)
        on_batch(i, scores)
        total.add(loss, scores)
    return total

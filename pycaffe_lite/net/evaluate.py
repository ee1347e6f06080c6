"""The outputs of a net as its log shows them, and their means over several batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.net.net import Net

# Outputs of up to so many values are logged whole, as Caffe logs all outputs; ImageNet's 1000 classes and a
# background are within this. Of a larger output, a label map say, only the first few values are logged.
WHOLE = 1024
FIRST = 5


@dataclass(frozen=True)
class Score:
    """One element of an output blob: its value, and the blob's weight in the loss, 0 if it has none."""

    name: str
    value: float
    loss_weight: float

    def __str__(self) -> str:
        """`loss = 0.25 (* 1 = 0.25 loss)`, as Caffe's log has it."""
        text = f"{self.name} = {self.value:g}"
        if self.loss_weight:
            text += f" (* {self.loss_weight:g} = {self.loss_weight * self.value:g} loss)"
        return text


@dataclass(frozen=True)
class Output:
    """An output blob: its values, (count,) in the net's dtype, and its weight in the loss or 0."""

    name: str
    values: Array
    loss_weight: float

    def __getitem__(self, index: int) -> Score:
        """One of its elements."""
        return Score(self.name, float(self.values[index]), self.loss_weight)


class Scores(Sequence[Score]):
    """Every element of every output blob, in the order of the outputs: #0, #1, ... in Caffe's log.

    The values stay in their arrays; a Score is made when it is asked for.

    Attributes:
        outputs: the output blobs.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.outputs = list(outputs)

    def __len__(self) -> int:
        return sum(output.values.size for output in self.outputs)

    @overload
    def __getitem__(self, index: int) -> Score: ...
    @overload
    def __getitem__(self, index: slice) -> list[Score]: ...
    def __getitem__(self, index: int | slice) -> Score | list[Score]:
        """One element, or those of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if place >= 0:
            for output in self.outputs:
                if place < output.values.size:
                    return output[place]
                place -= output.values.size
        raise IndexError(f"no score {index}: there are {len(self)}")

    def __iter__(self) -> Iterator[Score]:
        for output in self.outputs:
            for index in range(output.values.size):
                yield output[index]

    def lines(self, form: Callable[[int, Score], str] = lambda number, score: str(score)) -> Iterator[str]:
        """Makes a line for each element; of an output larger than WHOLE, for the first elements only.

        Args:
            form: makes the line of an element from its number among all elements and the element.
        """
        first = 0
        for output in self.outputs:
            count = output.values.size
            shown = count if count <= WHOLE else FIRST
            for index in range(shown):
                yield form(first + index, output[index])
            if shown < count:
                # This line has no ' = ', since people's parsers would take it for a value.
                yield (
                    f"    ... and {count - shown} more values of '{output.name}' ({count} in all); "
                    "a Silence layer keeps an output that nobody reads out of the log"
                )
            first += count


def output_scores(net: Net) -> Scores:
    """The present outputs: views of the blobs, which the next pass overwrites."""
    return Scores(
        [Output(name, net.blobs[name].data.ravel(), net.blob_loss_weights[name]) for name in net.outputs]
    )


class ScoreSum:
    """Adds up the outputs of several forward passes, element by element.

    The sums are kept in the net's dtype, pass after pass, so that the means have Caffe's digits.

    Attributes:
        count: the number of passes.
    """

    def __init__(self) -> None:
        self.count = 0
        self._loss: Array = np.zeros(())
        self._sums: list[Output] = []

    def add(self, loss: float, scores: Scores) -> None:
        """Adds one forward pass; if a later batch has fewer elements, only these are added."""
        if not self.count:
            self._sums = [Output(o.name, o.values.copy(), o.loss_weight) for o in scores.outputs]
            self._loss = np.zeros((), self._sums[0].values.dtype if self._sums else np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a net that has diverged is tested all the same
            self._loss += self._loss.dtype.type(loss)
            if self.count:
                for total, new in zip(self._sums, scores.outputs, strict=True):
                    common = min(total.values.size, new.values.size)
                    total.values[:common] += new.values[:common]
        self.count += 1

    def mean_loss(self) -> float:
        """The mean loss of the passes."""
        return float(self._loss / self._loss.dtype.type(self.count))

    def means(self) -> Scores:
        """The mean of each element."""
        return Scores(
            [Output(o.name, o.values / o.values.dtype.type(self.count), o.loss_weight) for o in self._sums]
        )


def evaluate(
    net: Net, iterations: int, on_batch: Callable[[int, Scores], object] = lambda i, scores: None
) -> ScoreSum:
    """Runs `iterations` forward passes; calls `on_batch(index, scores)` after each."""
    total = ScoreSum()
    for i in range(iterations):
        loss = net.forward_loss()
        scores = output_scores(net)
        on_batch(i, scores)
        total.add(loss, scores)
    return total

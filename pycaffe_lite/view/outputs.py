"""The outputs of a net in training as numbers to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pycaffe_lite.net.evaluate import Scores
from pycaffe_lite.printable import printable
from pycaffe_lite.solver.curves import names_a_loss

# An output of more values is told by their mean and range.
MOST_VALUES = 16


class Told(NamedTuple):
    """A number to be drawn, or several as one.

    Attributes:
        name: of the output, printable, with the number of its value where there are several.
        is_loss: whether it is part of the loss, by its weight or its name.
        low, mean, high: equal where it is one value.
    """

    name: str
    is_loss: bool
    low: float
    mean: float
    high: float


def outputs_told(scores: Scores, *, is_test: bool) -> Iterator[Told]:
    """The outputs of a net; of a train net without one that is the whole loss, which is told anyhow.

    Args:
        scores: of one pass, or their means. is_test: whether they are a test net's.
    """
    losses = sum(bool(output.loss_weight) for output in scores.outputs)
    for output in scores.outputs:
        if not is_test and output.loss_weight == 1 and losses == 1 and output.values.size == 1:
            continue
        name, values = printable(output.name), output.values
        is_loss = bool(output.loss_weight) or names_a_loss(output.name)
        if values.size > MOST_VALUES:
            ends = float(values.min()), float(values.mean()), float(values.max())
            yield Told(f"{name}, mean and range", is_loss, *ends)
        elif values.size == 1:
            yield Told(name, is_loss, *[float(values[0])] * 3)
        else:
            for k, value in enumerate(values.tolist()):
                yield Told(f"{name} [{k}]", is_loss, value, value, value)

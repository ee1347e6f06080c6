"""Curves of a training run, read back from its log: ours or the real Caffe's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from pycaffe_lite.errors import DataError, FileLookupError

_ITERATION = re.compile(r"Iteration (\d+)")
_OUTPUT = re.compile(r"(Train|Test) net output #\d+: (\S+) = ([-+.\deE]+|-?nan|-?inf)")
_RATE = re.compile(r"Iteration (\d+), lr = ([-+.\deE]+)")

Curve = list[tuple[int, float]]


@dataclass
class Curves:
    """(iteration, value) pairs of a run, by the name of the net's output.

    Attributes:
        train, test: outputs of the train net and of the test nets. lr: the learning rate.
    """

    train: dict[str, Curve] = field(default_factory=dict)
    test: dict[str, Curve] = field(default_factory=dict)
    lr: Curve = field(default_factory=list)


def read_curves(path: Path) -> Curves:
    """Reads a training log.

    Raises:
        FileLookupError: no such file.
        DataError: it holds no line of a training run.
    """
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{path}'") from None
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from None
    curves, iteration = Curves(), None
    for line in text.splitlines():
        if found := _ITERATION.search(line):
            iteration = int(found[1])
        if iteration is None:
            continue
        if found := _OUTPUT.search(line):
            table = curves.train if found[1] == "Train" else curves.test
            table.setdefault(found[2], []).append((iteration, float(found[3])))
        elif found := _RATE.search(line):
            curves.lr.append((iteration, float(found[2])))
    if not (curves.train or curves.test):
        raise DataError(f"'{path}' is no training log: it has no line like 'Train net output #0: loss = 0.5'")
    return curves

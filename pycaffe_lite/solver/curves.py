"""Curves of a training run, read back from its log: ours, the real Caffe's of any age, or a fork's."""

from __future__ import annotations

import datetime
import math
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.solver.log_lines import log_lines

Phase = Literal["train", "test"]

# A label map that no layer reads makes 250,000 curves in a log of Caffe's. Further curves are left out, and
# so are further values that wait for the line with their iteration.
MOST_CURVES = MOST_WAITING = 1 << 18


@dataclass(frozen=True, eq=False)
class Curve:
    """The course of one number of a run.

    Attributes:
        phase: of the net that it belongs to. net: which test net, from 0; 0 for the train net.
        name: of the output; `loss` for the loss of the whole net, `lr` for the learning rate, `score` in
            logs of 2013, which had no names.
        number: the output's in the log (`Test net output #3`), which counts the values of all outputs of the
            net; None where the log numbers nothing: the loss of the whole net, which Caffe smooths over
            average_loss iterations while training, and the learning rate.
        is_loss: whether it is part of the loss: the log says so (`(* 1 = 0.5 loss)`), or its name does.
        iterations: (n,) int64, increasing. values: (n,) float64, with NaN and infinities as logged.
        seconds: (n,) float64, when each was logged: since training began, else since the log's first line
            with a time; NaN for a line without.
    """

    phase: Phase
    net: int
    name: str
    number: int | None
    is_loss: bool
    iterations: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.iterations)

    def points(self) -> list[tuple[int, float]]:
        """(iteration, value) pairs."""
        return list(zip(self.iterations.tolist(), self.values.tolist(), strict=True))

    def __repr__(self) -> str:
        net = f" net {self.net}" if self.phase == "test" else ""
        number = "" if self.number is None else f" #{self.number}"
        points = ", ".join(f"{i}: {value:g}" for i, value in self.points()[:20])
        return f"<{self.phase}{net} {self.name}{number}: {points}{', ...' if len(self) > 20 else ''}>"


@dataclass(frozen=True)
class Curves:
    """The curves of a run.

    Attributes:
        train: outputs of the train net; first, where the log has it, the loss of the whole net.
        test: outputs of the test nets, net by net.
        lr: the learning rate; empty if it is not in the log.
    """

    train: list[Curve]
    test: list[Curve]
    lr: Curve

    def label(self, curve: Curve) -> str:
        """Names a curve among the others, `test net 1 per_class #3`; what they share is left out.

        The test net is named where there are several, the number where an output has several values.
        """
        others = self.train if curve.phase == "train" else self.test
        words: list[str] = [curve.phase]
        if any(other.net != curve.net for other in others):
            words.append(f"net {curve.net}")
        words.append(curve.name)
        if curve.number is not None and any(
            (other.net, other.name) == (curve.net, curve.name) and other.number not in (None, curve.number)
            for other in others
        ):
            words.append(f"#{curve.number}")
        return " ".join(words)


def read_curves(path: Path) -> Curves:
    """Reads a training log.

    A log may hold several runs, each resuming the one before: what a later run repeats counts. It may be cut
    anywhere; the values of a last line that has no end are left out, because digits may be missing.

    Raises:
        FileLookupError: no such file.
        DataError: it cannot be read, or holds no value of a training run.
    """
    reader = _Reader(year=_year_of(path))
    for line in log_lines(path):
        reader.read(line)
    curves = reader.curves()
    if curves.train or curves.test or len(curves.lr):
        return curves
    if not path.stat().st_size:
        raise DataError(f"'{path}' is empty")
    if reader.has_waiting:
        raise DataError(
            f"'{path}' does not say at which iterations its values were logged: "
            "keep the lines with 'Iteration' when you filter a log"
        )
    raise DataError(
        f"'{path}' is not a training log: "
        "it has no line like 'Iteration 100, loss = 0.5' or 'Train net output #0: loss = 0.5'"
    )


def _year_of(path: Path) -> int:
    """The year in which the log was written; glog's classic prefix has month and day only."""
    try:
        return datetime.datetime.fromtimestamp(path.stat().st_mtime).year
    except (OSError, ValueError, OverflowError):
        return 2000


# ------------------------------------------------------------------------------------------------ numbers

# As C++ prints them: 0.5, 1e-05, nan, -nan(ind), inf; old compilers of Microsoft 1.#QNAN, -1.#IND, 1.#INF.
_VALUE = (
    r"([-+]?(?:[0-9]+\.#[a-z]+[0-9]*"
    r"|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"
    r"|nan(?:\([^()\s]*\))?|inf(?:inity)?))(?=[\s;)]|,(?![0-9])|$)"
)


def _number(text: str) -> float:
    """The value of what _VALUE matched."""
    word = text.lower()
    if "#" in word:
        sign = -1 if word.startswith("-") else 1
        # Rounded to few digits, their INF becomes a J.
        return sign * math.inf if re.search("#(inf|j)", word) else math.nan
    return math.nan if "nan" in word else float(word)


# Not "MultiStep Status: Iteration 5, step = 1", which comes at any iteration.
_ITERATION = re.compile(r"(?<!Status: )\bIteration ([0-9]{1,18})(?![0-9.])(.*)")
_TESTING = re.compile(r"\bTesting net(?: \(#([0-9]{1,9})\))?")
_OUTPUT = re.compile(
    rf"(Train|Test) net output #([0-9]{{1,9}}): (.+?) = {_VALUE}( \(\* \S+ = \S+ loss\))?", re.IGNORECASE
)
_SCORE = re.compile(rf"\bTest score #([0-9]{{1,9}}): {_VALUE}", re.IGNORECASE)
_TEST_LOSS = re.compile(rf"\bTest loss: {_VALUE}", re.IGNORECASE)
_LOSS = re.compile(rf"\bloss = {_VALUE}", re.IGNORECASE)
_RATE = re.compile(rf"\blr = {_VALUE}", re.IGNORECASE)
_STAMP = re.compile(
    r"\b[IWEF]([0-9]{4})?(0[1-9]|1[0-2])([0-3][0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2}\.[0-9]{1,9}) "
)


def _output(line: str) -> re.Match[str] | None:
    """What a line says of an output. Only its first mark counts, so that no line takes time to read."""
    mark = line.find(" net output #")
    return _OUTPUT.match(line, line.rfind("T", 0, mark)) if mark > 0 else None


def names_a_loss(name: str) -> bool:
    """Whether an output is a loss by its name: `loss1/loss` is, `loss1/top-1` is not."""
    last = name.lower().rpartition("/")[2]
    return "loss" in last and not re.search(r"acc|top[-_]?[0-9]", last)


# ------------------------------------------------------------------------------------------------ reading

# Phase, net, name and number of a curve.
_Key = tuple[Phase, int, str, int | None]
_RATE_KEY: _Key = ("train", 0, "lr", None)


class _Points:
    """The points of a curve, in the order of the log."""

    def __init__(self) -> None:
        self.iterations, self.values, self.seconds = array("q"), array("d"), array("d")

    def add(self, iteration: int, value: float, seconds: float) -> None:
        """Appends a point, and drops those that an earlier run has from there on."""
        while self.iterations and self.iterations[-1] >= iteration:
            self._drop_last()
        self.iterations.append(iteration)
        self.values.append(value)
        self.seconds.append(seconds)

    def cut(self, last: int) -> None:
        """Drops the points after an iteration."""
        while self.iterations and self.iterations[-1] > last:
            self._drop_last()

    def _drop_last(self) -> None:
        for column in (self.iterations, self.values, self.seconds):
            column.pop()


@dataclass
class _Waiting:
    """A value whose iteration is on a later line."""

    name: str
    number: int | None
    value: float
    seconds: float


@dataclass
class _Reader:
    """Reads a log line by line.

    Caffe announces what follows: `Iteration 50, Testing net (#0)` the outputs of a test net, `Iteration 50,
    loss = ...` those of the train net, and after these comes `Iteration 50, lr = ...` (before them, in 2013).
    If a filter has removed the announcement, outputs wait for the next line that names an iteration, which in
    Caffe's order is theirs.

    Attributes:
        year: of the log's first line.
    """

    year: int
    _points: dict[_Key, _Points] = field(default_factory=dict)
    _losses: set[str] = field(default_factory=set)  # names that the log calls a loss
    _iteration: int | None = None  # of the last line that names one
    _test: tuple[int, int] | None = None  # iteration and net of the test under way
    _train: int | None = None  # the iteration whose outputs of the train net are announced
    _waiting: dict[Phase, list[_Waiting]] = field(default_factory=lambda: {"train": [], "test": []})
    _month: int = 0
    _first_day: int = 0
    _first_seconds: float = math.nan
    _start_seconds: float = math.nan

    @property
    def has_waiting(self) -> bool:
        """Whether there are values whose iteration is on no line."""
        return any(self._waiting.values())

    def read(self, line: str) -> None:
        """Reads a line."""
        if not ("Iteration" in line or "Test" in line or "Train" in line or "Solving" in line):
            return  # as most are; a regular expression would take ten times as long
        seconds = self._seconds(line)
        if math.isnan(self._start_seconds) and "Solving" in line:
            self._start_seconds = seconds
        if line.endswith("\n"):
            self._read_values(line, seconds)
        elif (found := _output(line)) and found[5]:
            self._read_output(found, seconds)  # its suffix is there, so its value is whole

    def _read_values(self, line: str, seconds: float) -> None:
        if " net output #" in line:
            if found := _output(line):
                self._read_output(found, seconds)
        elif found := _SCORE.search(line):
            self._add("test", "score", int(found[1]), _number(found[2]), seconds)
        elif found := _TEST_LOSS.search(line):
            self._add("test", "loss", None, _number(found[1]), seconds)
        elif found := _ITERATION.search(line):
            self._read_iteration(int(found[1]), found[2], seconds)
        elif found := _TESTING.search(line):  # of 2013, after the line of the iteration
            self._test = (self._iteration or 0, int(found[1] or 0))

    def _read_output(self, found: re.Match[str], seconds: float) -> None:
        phase: Phase = "train" if found[1].lower() == "train" else "test"
        if found[5]:
            self._losses.add(found[3])
        self._add(phase, found[3], int(found[2]), _number(found[4]), seconds)

    def _read_iteration(self, iteration: int, rest: str, seconds: float) -> None:
        self._iteration = iteration
        if found := _TESTING.search(rest):
            self._place("test", None)
            self._test = (iteration, int(found[1] or 0))
            return
        loss, rate = _LOSS.search(rest), _RATE.search(rest)
        # Outputs of the train net that wait at a line with its loss are of an earlier iteration.
        had_waiting = self._place("train", None if loss else iteration)
        self._place("test", iteration)
        self._test = None
        self._train = iteration if loss or not had_waiting else None
        if loss:
            self._add("train", "loss", None, _number(loss[1]), seconds)
        if rate:
            self._add_point(_RATE_KEY, iteration, _number(rate[1]), seconds)

    def _add(self, phase: Phase, name: str, number: int | None, value: float, seconds: float) -> None:
        if phase == "train" and self._train is not None:
            self._add_point((phase, 0, name, number), self._train, value, seconds)
        elif phase == "test" and self._test is not None:
            iteration, net = self._test
            self._add_point((phase, net, name, number), iteration, value, seconds)
        elif len(self._waiting[phase]) < MOST_WAITING:
            self._waiting[phase].append(_Waiting(name, number, value, seconds))

    def _place(self, phase: Phase, iteration: int | None) -> bool:
        """Gives the waiting values their iteration, or drops them if it is None.

        Returns:
            Whether there were any.
        """
        waiting, self._waiting[phase] = self._waiting[phase], []
        if iteration is not None:
            net, last = 0, -2
            for one in waiting:
                number = -1 if one.number is None else one.number
                if phase == "test" and number <= last:
                    net += 1  # the numbers begin anew with each net
                last = number
                self._add_point((phase, net, one.name, one.number), iteration, one.value, one.seconds)
        return bool(waiting)

    def _add_point(self, key: _Key, iteration: int, value: float, seconds: float) -> None:
        points = self._points.get(key)
        if points is None:
            if len(self._points) >= MOST_CURVES:
                return
            points = self._points[key] = _Points()
        points.add(iteration, value, seconds)

    def _seconds(self, line: str) -> float:
        """When a line was written, in seconds from the log's first day; NaN if it does not say."""
        found = _STAMP.search(line, 0, 256)
        if not found:
            return math.nan
        month = int(found[2])
        if found[1]:
            self.year = int(found[1]) or 1
        elif month < self._month:
            self.year = min(self.year + 1, datetime.MAXYEAR)
        self._month = month
        day = datetime.date(self.year, month, 1).toordinal() + int(found[3])
        self._first_day = self._first_day or day
        hours = (day - self._first_day) * 24 + int(found[4])
        seconds = (hours * 60 + int(found[5])) * 60 + float(found[6])
        if math.isnan(self._first_seconds):
            self._first_seconds = seconds
        return seconds

    def curves(self) -> Curves:
        """The curves of the lines read so far."""
        if self._iteration is not None:
            self._place("test", self._iteration)  # a test at the end is followed by no iteration
        last = -1 if self._iteration is None else self._iteration
        for points in self._points.values():
            points.cut(last)  # in case an earlier run went on longer
        made = [self._curve(key, points) for key, points in self._points.items() if points.iterations]
        rates = [curve for curve in made if _key(curve) == _RATE_KEY]
        return Curves(
            train=_in_order(curve for curve in made if curve.phase == "train" and curve not in rates),
            test=_in_order(curve for curve in made if curve.phase == "test"),
            lr=rates[0] if rates else self._curve(_RATE_KEY, _Points()),
        )

    def _curve(self, key: _Key, points: _Points) -> Curve:
        phase, net, name, number = key
        is_loss = name in self._losses or names_a_loss(name)
        start = self._first_seconds if math.isnan(self._start_seconds) else self._start_seconds
        return Curve(
            *(phase, net, name, number, is_loss),
            np.array(points.iterations, np.int64),
            np.array(points.values, np.float64),
            np.array(points.seconds, np.float64) - start,
        )


def _key(curve: Curve) -> _Key:
    return curve.phase, curve.net, curve.name, curve.number


def _in_order(curves: Iterable[Curve]) -> list[Curve]:
    """The curves net by net, in the order of the log's numbers."""
    return sorted(curves, key=lambda curve: (curve.net, -1 if curve.number is None else curve.number))

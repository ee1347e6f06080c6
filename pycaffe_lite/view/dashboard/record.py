"""What is kept of a training run to be looked at, and the file that keeps it."""

from __future__ import annotations

import json
import math
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import StrPath, atomic_write, read_bytes
from pycaffe_lite.view.dashboard.course import Course, Points
from pycaffe_lite.view.dashboard.layers import BlobLook, Histogram
from pycaffe_lite.view.dashboard.mistakes import Mistake, Test

SUFFIX = ".run"
_FORMAT = "pycaffe-lite run 1"
Panel = Literal["loss", "output", "rate", "ratio"]


@dataclass
class Line:
    """A number of a run, over the iterations.

    Attributes:
        label: its name among the others. panel: where it is drawn. is_test: whether it is of a test net.
        course: its course.
    """

    label: str
    panel: Panel
    is_test: bool
    course: Course = field(default_factory=Course)


@dataclass
class Status:
    """Where a run is.

    Attributes:
        state: what it is doing, in a few words; empty if that is not known. is_live: whether it goes on.
        iteration, max_iter: how far it is, and how far it is to go; 0 if that is not known.
        iterations_per_second, images_per_second: 0 if they are not known.
        waited_ms: of an iteration, for data. rate: the learning rate. loss: the latest.
    """

    state: str = ""
    is_live: bool = False
    iteration: int = 0
    max_iter: int = 0
    iterations_per_second: float = 0.0
    images_per_second: float = 0.0
    waited_ms: float = 0.0
    rate: float = math.nan
    loss: float = math.nan

    @property
    def seconds_left(self) -> float | None:
        """Until max_iter, at the present speed, without tests; None if that is not known."""
        if not self.is_live or not self.iterations_per_second:
            return None
        return (self.max_iter - self.iteration) / self.iterations_per_second


@dataclass(frozen=True)
class Look:
    """The learnable blobs at one iteration; and the first convolution's layer and kernels, (M, C, H, W)."""

    iteration: int
    blobs: list[BlobLook]
    kernels_of: str = ""
    kernels: npt.NDArray[Any] | None = None


@dataclass(frozen=True)
class DrawnGraph:
    """A net as a drawing, SVG, with what there is to say of each layer by the key of its group in it."""

    name: str
    svg: str
    facts: list[tuple[str, str]]
    layers: dict[str, Any]


@dataclass
class RunRecord:
    """What there is to see of a run.

    Attributes:
        lines: by a key of their own. status: where the run is. graph: of the train net.
        look: the latest at the weights. tests: what the latest test of each test net has shown.
        log: the name of the log file in the same folder that tells of the same run, if there is one.
        version: grows with each change. lock: held while it is written to, or read from.
    """

    lines: dict[str, Line] = field(default_factory=dict)
    status: Status = field(default_factory=Status)
    graph: DrawnGraph | None = None
    look: Look | None = None
    tests: dict[int, Test] = field(default_factory=dict)
    log: str = ""
    version: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def line(self, key: str, label: str, panel: Panel, *, is_test: bool = False) -> Line:
        """The line of a key, a new one where there is none yet."""
        found = self.lines.get(key)
        if found is None:
            found = self.lines[key] = Line(label, panel, is_test)
        return found

    def cut(self, last: int) -> None:
        """Forgets what comes after an iteration, because the run goes on from there."""
        for line in self.lines.values():
            line.course.cut(last)
        self.tests = {net: test for net, test in self.tests.items() if test.iteration <= last}
        if self.look is not None and self.look.iteration > last:
            self.look = None

    # --------------------------------------------------------------------------------------------- file

    def write(self, path: StrPath) -> None:
        """Writes the record, whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        with self.lock:
            arrays = self._arrays()
        with atomic_write(path, error=DataError) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The record as named arrays: numbers as they are, and all else as JSON's text."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        lines = []
        for i, (key, line) in enumerate(self.lines.items()):
            points = line.course.points()
            arrays[f"line{i}"] = np.stack([points.x, points.low, points.mean, points.high])
            lines.append([key, line.label, line.panel, line.is_test, line.course.width])
        text: dict[str, Any] = {
            "format": _FORMAT,
            "lines": lines,
            "status": asdict(self.status),
            "graph": asdict(self.graph) if self.graph else None,
            "log": self.log,
            "look": None,
            "tests": [],
        }
        if self.look is not None:
            look = self.look
            blobs = [asdict(blob) for blob in look.blobs]
            text["look"] = {"iteration": look.iteration, "blobs": blobs, "kernels_of": look.kernels_of}
            if look.kernels is not None:
                arrays["kernels"] = look.kernels
        for net, test in self.tests.items():
            arrays[f"pairs{net}"] = test.pairs
            numbers = [list(mistake[:4]) for mistake in test.mistakes]
            text["tests"].append([net, test.iteration, test.classes, test.tested, test.right, numbers])
            for k, mistake in enumerate(test.mistakes):
                arrays[f"image{net}_{k}"] = np.frombuffer(mistake.image, np.uint8)
        arrays["text"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
        return arrays


def read_record(path: Path) -> RunRecord:
    """Reads the record of a run.

    Raises:
        FileLookupError: no such file. DataError: it cannot be read, or is none.
    """
    try:
        with np.load(BytesIO(read_bytes(path, error=DataError).data), allow_pickle=False) as arrays:
            return _record_of(arrays)
    except (KeyError, IndexError, TypeError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError):
        raise DataError(f"'{path}' is damaged, or not the record of a run") from None


def _record_of(arrays: Mapping[str, npt.NDArray[Any]]) -> RunRecord:
    text = json.loads(arrays["text"].tobytes())
    if text["format"] != _FORMAT:
        raise ValueError(text["format"])
    lines = {}
    for i, (key, label, panel, is_test, width) in enumerate(text["lines"]):
        x, low, mean, high = np.asarray(arrays[f"line{i}"], np.float64)
        lines[str(key)] = Line(
            str(label), panel, bool(is_test), Course.of(Points(x, low, mean, high), int(width))
        )
    record = RunRecord(lines=lines, status=Status(**text["status"]), log=str(text["log"]))
    if text["graph"]:
        record.graph = DrawnGraph(**text["graph"])
    if text["look"]:
        record.look = _look_of(text["look"], arrays)
    for net, iteration, classes, tested, right, numbers in text["tests"]:
        images = [arrays[f"image{net}_{k}"].tobytes() for k in range(len(numbers))]
        mistakes = [
            Mistake(int(label), int(guess), float(p_label), float(p_guess), image)
            for (label, guess, p_label, p_guess), image in zip(numbers, images, strict=True)
        ]
        pairs = np.asarray(arrays[f"pairs{net}"], np.int64).reshape(-1, 3)
        record.tests[int(net)] = Test(iteration, classes, tested, right, pairs, mistakes)
    return record


def _look_of(text: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Look:
    blobs = []
    for given in text["blobs"]:
        shape, spreads = tuple(given["shape"]), (given["weights"], given["gradients"])
        weights, gradients = (Histogram(**spread) for spread in spreads)
        blobs.append(BlobLook(**{**given, "shape": shape, "weights": weights, "gradients": gradients}))
    kernels = np.asarray(arrays["kernels"]) if "kernels" in arrays else None
    return Look(text["iteration"], blobs, text["kernels_of"], kernels)

"""What the page asks for, in JSON's types; and pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pycaffe_lite.view.dashboard.course import Points, Values
from pycaffe_lite.view.dashboard.layers import BlobLook
from pycaffe_lite.view.dashboard.mistakes import MOST_CLASSES, MOST_PAIRS, Test
from pycaffe_lite.view.dashboard.png import png
from pycaffe_lite.view.dashboard.record import Line, RunRecord
from pycaffe_lite.view.dashboard.runs import ShownRun
from pycaffe_lite.view.numbers import as_shape
from pycaffe_lite.view.tiles import filter_picture
from pycaffe_lite.view.traces import FEW_POINTS, SMOOTHED_SHARE, smoothed

# Points of a line that the page may ask for.
MOST_COLUMNS = 2000


def runs(shown: Sequence[ShownRun]) -> list[dict[str, Any]]:
    """The runs of the page, with their states."""
    return [{"id": i, "name": run.name, **_status(run.record())} for i, run in enumerate(shown)]


def _status(record: RunRecord) -> dict[str, Any]:
    with record.lock:
        status = {**asdict(record.status), "seconds_left": record.status.seconds_left}
        look = record.look.iteration if record.look else -1
        tests = max((test.iteration for test in record.tests.values()), default=-1)
        version = record.version
    numbers = {name: _number(value) if isinstance(value, float) else value for name, value in status.items()}
    return {**numbers, "version": version, "look": look, "tested": tests}


def _number(value: float) -> float | None:
    """A number as JSON has it: without NaN and infinities."""
    return value if math.isfinite(value) else None


# -------------------------------------------------------------------------------------------------- curves


def curves(
    shown: Mapping[int, ShownRun], columns: int, first: float = -math.inf, last: float = math.inf
) -> list[dict[str, Any]]:
    """The lines of runs, as many points as a screen can show.

    Args:
        shown: the runs by their numbers. columns: how many points of each line. first, last: iterations
            between which they lie.
    """
    columns = min(max(columns, 2), MOST_COLUMNS)
    lines = []
    for number, run in shown.items():
        record = run.record()
        with record.lock:
            courses = [(line, line.course.points()) for line in record.lines.values()]
        lines += [
            _line(number, line, points, columns, first, last) for line, points in courses if len(points)
        ]
    return lines


def _line(run: int, line: Line, points: Points, columns: int, first: float, last: float) -> dict[str, Any]:
    shown = points.between(first, last).at_most(columns)
    entry: dict[str, Any] = {
        "run": run,
        "label": line.label,
        "panel": line.panel,
        "test": line.is_test,
        "x": _packed(shown.x, np.float64),
        "mean": _packed(shown.mean, np.float32),
        "low": None,
        "high": None,
        "smooth": None,
    }
    if not shown.is_exact:
        entry["low"], entry["high"] = _packed(shown.low, np.float32), _packed(shown.high, np.float32)
    if line.panel == "loss" and not line.is_test and len(points) > FEW_POINTS:
        smooth = smoothed(points.mean, max(3, round(SMOOTHED_SHARE * len(points))))
        whole = Points(points.x, smooth, smooth, smooth)
        entry["smooth"] = _packed(whole.between(first, last).at_most(columns).mean, np.float32)
    return entry


def _packed(values: Values, dtype: type[np.floating]) -> str:
    """Numbers as the bytes of little-endian floats, in base 64: short, quick to make, and with NaN."""
    with np.errstate(over="ignore"):
        data = values.astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    return base64.b64encode(data).decode()


# ---------------------------------------------------------------------------------------- weights and tests


def run(shown: ShownRun) -> dict[str, Any]:
    """What there is to see of one run besides its curves."""
    record = shown.record()
    with record.lock:
        look, tests = record.look, dict(record.tests)
    return {
        "look": look
        and {
            "iteration": look.iteration,
            "kernels_of": look.kernels_of if look.kernels is not None else None,
            "blobs": [_blob(blob) for blob in look.blobs],
        },
        "tests": [_test(net, test, len(tests)) for net, test in sorted(tests.items())],
    }


def _blob(blob: BlobLook) -> dict[str, Any]:
    entry = asdict(blob)
    entry["shape"] = as_shape(blob.shape)
    for name in ("size", "gradient_size"):
        entry[name] = _number(entry[name])
    return entry


def _test(net: int, test: Test, nets: int) -> dict[str, Any]:
    wrong = test.pairs[test.pairs[:, 0] != test.pairs[:, 1]]
    worst = wrong[np.argsort(-wrong[:, 2], kind="stable")][:MOST_PAIRS]
    entry: dict[str, Any] = {
        "net": net if nets > 1 else None,
        "id": net,
        "iteration": test.iteration,
        "classes": test.classes,
        "tested": test.tested,
        "right": test.right,
        "matrix": None,
        "pairs": worst.tolist(),
        "mistakes": [
            {
                "label": m.label,
                "guess": m.guess,
                "p_label": m.label_probability,
                "p_guess": m.guess_probability,
            }
            for m in test.mistakes
        ],
    }
    if test.classes <= MOST_CLASSES:
        matrix = np.zeros((test.classes, test.classes), np.int64)
        matrix[test.pairs[:, 0], test.pairs[:, 1]] = test.pairs[:, 2]
        entry["matrix"] = matrix.tolist()
    return entry


def net(shown: ShownRun) -> dict[str, Any] | None:
    """The drawing of a run's net, and what there is to say of its layers."""
    graph = shown.record().graph
    return asdict(graph) if graph else None


def kernels_picture(shown: ShownRun) -> bytes | None:
    """The first convolution's kernels, a PNG file."""
    look = shown.record().look
    return png(filter_picture(look.kernels)) if look and look.kernels is not None else None


def mistake_picture(test: Test | None, number: int) -> bytes | None:
    """A picture that a test net has got wrong, a PNG file."""
    return test.mistakes[number].image if test and 0 <= number < len(test.mistakes) else None

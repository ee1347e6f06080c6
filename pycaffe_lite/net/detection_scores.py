"""How good detections are: average precisions from what DetectionEvaluate gives, over several batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import NetError
from pycaffe_lite.net.evaluate import Output, Scores, ScoreSum
from pycaffe_lite.net.net import Net

AP_VERSIONS = ("11point", "MaxIntegral", "Integral")
_COLUMNS = 5  # image, class, score, true, false; or -1, class, number of boxes, -1, -1
_POINTS = 11
_SAME_RECALL = 1e-6


class DetectionSum(ScoreSum):
    """Gathers the rows of DetectionEvaluate layers, one for each output of a net.

    Args:
        net: whose outputs all come from layers of that type.
        ap_version: how precisions are averaged, see `average_precision`.

    Raises:
        NetError: an output has not five numbers a row.

    Source: weiliu89/caffe src/caffe/solver.cpp, TestDetection
    """

    def __init__(self, net: Net, ap_version: str) -> None:
        super().__init__()
        self._version = ap_version
        for name in net.outputs:
            shape = net.blobs[name].shape
            if len(shape) != 4 or shape[3] != _COLUMNS:
                raise NetError(
                    f'eval_type "detection" needs a test net whose outputs are of DetectionEvaluate layers, '
                    f"(1, 1, R, {_COLUMNS}); '{name}' has shape {shape}: silence it or leave it out"
                )
        self._rows: list[list[Array]] = []

    def add(self, loss: float, scores: Scores) -> None:
        """Adds the rows of one forward pass."""
        if not self.count:
            self._rows = [[] for _ in scores.outputs]
            self._loss = np.zeros((), np.float32)
        for rows, output in zip(self._rows, scores.outputs, strict=True):
            rows.append(output.values.reshape(-1, _COLUMNS).copy())
        self._names = [output.name for output in scores.outputs]
        self._loss += np.float32(loss)
        self.count += 1

    def of_classes(self) -> Iterator[tuple[str, dict[int, float | None]]]:
        """Each output's name, and the average precision of each class; None if it was never detected."""
        for name, rows in zip(self._names, self._rows, strict=True):
            yield name, _precisions(np.concatenate(rows), self._version)

    def means(self) -> Scores:
        """The mean average precision of each output."""
        return Scores(
            [
                Output(name, np.array([mean_of(classes)], np.float32), 0.0)
                for name, classes in self.of_classes()
            ]
        )


def mean_of(classes: dict[int, float | None]) -> float:
    """The mean of the classes' average precisions; a class that was never detected counts as 0."""
    return sum(value or 0.0 for value in classes.values()) / max(len(classes), 1)


def _precisions(rows: Array, version: str) -> dict[int, float | None]:
    counts, found = rows[rows[:, 0] == -1], rows[rows[:, 0] != -1]
    found = found[(found[:, 3] != 0) | (found[:, 4] != 0)]  # the others are of difficult boxes
    result: dict[int, float | None] = {}
    for label in np.unique(counts[:, 1]):
        boxes = int(counts[counts[:, 1] == label, 2].sum())
        own = found[found[:, 1] == label]
        own = own[np.argsort(-own[:, 2], kind="stable")]
        result[int(label)] = average_precision(own[:, 3] != 0, boxes, version) if len(own) else None
    return result


def average_precision(is_true: npt.NDArray[np.bool_], boxes: int, version: str) -> float:
    """The average precision of the detections of one class.

    Precision p_k is the share of true ones among the k with the highest scores, recall r_k = their number
    over that of the boxes. "Integral" sums p_k (r_k − r_{k−1}); "MaxIntegral" the same with the highest
    precision from k on in place of p_k; "11point" is the mean, over the recalls 0, 0.1, ... 1, of the highest
    precision at that recall or a higher one.

    Args:
        is_true: (count,), of the detections, the highest score first.
        boxes: how many there are to be found.
        version: one of AP_VERSIONS.

    Source: weiliu89/caffe src/caffe/util/bbox_util.cpp, ComputeAP
    """
    if not len(is_true) or not boxes:
        return 0.0
    hits = np.cumsum(is_true)
    precision = (hits / np.arange(1, len(hits) + 1)).astype(np.float32)
    recall = (hits / boxes).astype(np.float32)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    if version == "11point":
        # A recall in float32 may fall short of the point that it stands for, as in the fork.
        places = [np.flatnonzero(recall.astype(np.float64) >= j / 10.0) for j in range(_POINTS)]
        return sum(float(highest[found[0]]) for found in places if len(found)) / _POINTS
    steps = np.diff(recall, prepend=np.float32(0))
    steps[np.abs(steps) <= _SAME_RECALL] = 0
    return float((steps * (precision if version == "Integral" else highest)).sum())

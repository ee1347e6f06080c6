"""Ground truth: the boxes of the objects in a batch of pictures, from the rows that AnnotatedData makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array, Blob

Indices = npt.NDArray[np.int64]

# Columns of a row.
IMAGE, CLASS, BOX, DIFFICULT = 0, 1, slice(3, 7), 7
PADDING = -1  # the image of a row that stands for no box


class GroundTruth(NamedTuple):
    """Boxes, image by image.

    Attributes:
        images, classes: (G,). boxes: (G, 4). starts: (N + 1,), where those of each image begin.
    """

    images: Indices
    classes: Indices
    boxes: Array
    starts: Indices

    @property
    def counts(self) -> Indices:
        """The number of boxes of each image."""
        return np.diff(self.starts)

    def of_class(self, label: int) -> tuple[GroundTruth, Indices]:
        """The boxes of one class, and the place of each among those of its image."""
        own = self.classes == label
        places = np.arange(len(self.images)) - self.starts[self.images]
        truth = _sorted(self.images[own], self.classes[own], self.boxes[own], len(self.starts) - 1)
        return truth, places[own]


def ground_truth(blob: Blob, images: int, *, with_difficult: bool) -> GroundTruth:
    """The boxes of a blob.

    Args:
        blob: (1, 1, G, 8): image, class, instance, xmin, ymin, xmax, ymax, difficult; rows of image -1 are
            passed over. images: in the batch. with_difficult: whether difficult ones count.
    """
    rows = blob.data.reshape(-1, 8)
    rows = rows[rows[:, IMAGE] != PADDING]
    if not with_difficult:
        rows = rows[rows[:, DIFFICULT] == 0]
    rows = rows[np.argsort(rows[:, IMAGE], kind="stable")]
    with np.errstate(invalid="ignore"):  # NaN becomes a number that is out of range
        labels = rows[:, : BOX.start].astype(np.int64)
    return _sorted(labels[:, IMAGE], labels[:, CLASS], rows[:, BOX], images)


def _sorted(images: Indices, classes: Indices, boxes: Array, count: int) -> GroundTruth:
    starts = np.searchsorted(images, np.arange(count + 1))
    return GroundTruth(images, classes, np.ascontiguousarray(boxes), starts)


def shape_of_rows(blob: Blob) -> Sequence[int]:
    """The shape of a blob of rows as four axes, those that it lacks in front being 1."""
    return (1,) * (4 - len(blob.shape)) + blob.shape

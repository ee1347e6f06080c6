"""Labels of losses and of Accuracy: read from a blob, checked against the number of classes."""

from __future__ import annotations

import logging
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels import labels
from pycaffe_lite.layer.base import Layer

log = logging.getLogger(__name__)

Labels = npt.NDArray[np.int32]


class LabelReader:
    """Turns the floats of a label blob into class numbers, for one layer.

    Args:
        layer: the layer that errors name.
        ignore_label: the label of predictions that do not count; None if all count.
        can_ignore: whether the layer's type heeds an ignore_label; errors then mention it.

    Attributes:
        found: (3,), int64, what the last reading found: how many labels are not ignored, and then what
            `kernels.labels` says.
    """

    def __init__(self, layer: Layer[Any], ignore_label: int | None, *, can_ignore: bool = True) -> None:
        # The reference is weak: in a cycle, a dropped net's memory would stay until the next collection.
        self._layer = weakref.proxy(layer)
        self._ignored = ignore_label
        self._hint = ""
        if can_ignore:
            is_set = ignore_label is not None
            self._hint = f"; ignore_label is {ignore_label}" if is_set else "; set ignore_label to skip it"
        self._labels = layer.add_buffer(np.int32)
        self.found = np.array([0, -1, -1])
        self._has_told_of_fraction = False

    def reshape(self, blob: Blob) -> None:
        """Makes room for the labels of a blob."""
        self._labels.reshape((blob.count,))

    def start(self, blob: Blob, classes: int) -> Labels:
        """Starts the kernel that reads the labels of a blob, and returns them flat.

        -1 stands for a label that is to be ignored or is not a class; `check` tells of the latter. The next
        call uses the same array again.
        """
        self.reshape(blob)
        values = self._labels.data.view(np.int32)
        labels.read(blob.data.reshape(-1), classes, self._ignored, values, self.found)
        return values

    def check(self, blob: Blob, classes: int) -> None:
        """Checks the labels that were read last, and logs the first one that was cut to a whole number.

        Raises:
            LayerError: a label that is not to be ignored is none of 0 to classes - 1.
        """
        _, bad, fraction = self.found.tolist()
        if bad >= 0:
            there = f"{classes} classes, 0 to {classes - 1}" if classes > 1 else "1 class, 0"
            raise self._layer.error(f"{_place(blob, bad)} is out of range: {there}{self._hint}")
        if fraction >= 0 and not self._has_told_of_fraction:
            self._has_told_of_fraction = True
            log.warning(
                "%s",
                self._layer.error(
                    f"{_place(blob, fraction)} is cut to a whole number, as in Caffe; others like it are not "
                    "mentioned"
                ),
            )

    def read(self, blob: Blob, classes: int) -> Labels:
        """Reads the labels of a blob, flat, and checks them; see `start` and `check`."""
        values = self.start(blob, classes)
        self.check(blob, classes)
        return values

    @property
    def counted(self) -> int:
        """How many of the labels last read are not ignored."""
        return int(self.found[0])


def _place(blob: Blob, index: int) -> str:
    position = tuple(int(i) for i in np.unravel_index(index, blob.shape))
    return f"label {blob.data[position]:g} at {position}"

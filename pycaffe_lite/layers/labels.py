"""Labels of losses and of Accuracy: read from a blob, checked against the number of classes."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels import labels
from pycaffe_lite.layers.base import Layer

Labels = npt.NDArray[np.int32]


class LabelReader:
    """Turns the floats of a label blob into class numbers for one layer.

    Args:
        layer: whom errors name.
        ignore_label: the label of what does not count; None: everything counts.
        can_ignore: whether the layer's type heeds an ignore_label; errors then mention it.

    Attributes:
        found: (2,), int64, of the labels last read: how many are not ignored, and see `kernels.labels`.
    """

    def __init__(self, layer: Layer[Any], ignore_label: int | None, *, can_ignore: bool = True) -> None:
        # Weakly: in a cycle, the memory of a net that is dropped would stay until the next collection.
        self._layer = weakref.proxy(layer)
        self._ignored = ignore_label
        self._hint = " (ignore_label leaves a label out)" if can_ignore else ""
        self._labels = layer.add_buffer(np.int32)
        self.found = np.array([0, -1])

    def reshape(self, blob: Blob) -> None:
        """Makes room for the labels of a blob."""
        self._labels.reshape((blob.count,))

    def start(self, blob: Blob, classes: int) -> Labels:
        """Starts the kernel that reads the labels of a blob, flat; -1 is to be ignored, or is no class.

        The array is used again by the next call. Whether all labels are classes is for `check` to say.
        """
        self.reshape(blob)
        values = self._labels.data.view(np.int32)
        labels.read(blob.data.reshape(-1), classes, self._ignored, values, self.found)
        return values

    def check(self, blob: Blob, classes: int) -> None:
        """Checks the labels that were read last.

        Raises:
            LayerError: a label that is not to be ignored is no whole number from 0 to classes - 1.
        """
        bad = self.found.item(1)
        if bad >= 0:
            position = tuple(int(i) for i in np.unravel_index(bad, blob.shape))
            raise self._layer.error(
                f"label {blob.data[position]:g} at {position} is none of the {classes} classes 0 to "
                f"{classes - 1}{self._hint}"
            )

    def read(self, blob: Blob, classes: int) -> Labels:
        """The labels of a blob, as `start` reads and `check` checks them."""
        values = self.start(blob, classes)
        self.check(blob, classes)
        return values

    @property
    def counted(self) -> int:
        """How many of the labels last read are not ignored."""
        return int(self.found[0])

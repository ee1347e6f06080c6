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
        counted: how many of the labels last read are not ignored.
    """

    def __init__(self, layer: Layer[Any], ignore_label: int | None, *, can_ignore: bool = True) -> None:
        # Weakly: in a cycle, the memory of a net that is dropped would stay until the next collection.
        self._layer = weakref.proxy(layer)
        self._ignore_label = ignore_label
        self._hint = " (ignore_label leaves a label out)" if can_ignore else ""
        self._labels: Labels = np.empty(0, np.int32)
        self.counted = 0

    def read(self, blob: Blob, classes: int) -> Labels:
        """The labels of a blob, flat, -1 where one is to be ignored; the array is reused by the next call.

        Raises:
            LayerError: a label that is not to be ignored is no whole number from 0 to classes - 1.
        """
        if self._labels.size != blob.count:
            self._labels = np.empty(blob.count, np.int32)
        values = blob.data.reshape(-1)
        ignore = self._ignore_label is not None
        self.counted, bad = labels.read(values, classes, ignore, self._ignore_label or 0, self._labels)
        if bad >= 0:
            position = tuple(int(i) for i in np.unravel_index(bad, blob.shape))
            raise self._layer.error(
                f"label {values[bad]:g} at {position} is none of the {classes} classes 0 to {classes - 1}"
                f"{self._hint}"
            )
        return self._labels

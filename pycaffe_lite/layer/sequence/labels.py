"""Rows of labels, with blanks among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.base import Layer

Indices = npt.NDArray[np.int64]


def labels_without_blanks(layer: Layer[Any], blob: Blob, blank: int, classes: int) -> tuple[Indices, Indices]:
    """The labels of each row that are no blanks, in front, and how many they are: (N, L) and (N,).

    Raises:
        LayerError: a label is not from 0 to classes - 1.
    """
    given = blob.data.reshape(blob.shape[0], blob.count_axes(1))
    with np.errstate(invalid="ignore"):  # NaN becomes a number that is out of range
        rows = given.astype(np.int64)
    wrong = (rows != blank) & ((rows < 0) | (rows >= classes))
    if wrong.any():
        raise layer.error(f"label {given[wrong][0]:g} is out of range: {classes} classes, 0 to {classes - 1}")
    in_front = np.argsort(rows == blank, axis=1, kind="stable")
    return np.take_along_axis(rows, in_front, axis=1), (rows != blank).sum(axis=1)


def merged(symbols: Indices, blank: int) -> Indices:
    """What the steps of a row say: repeated symbols once, and no blanks."""
    is_new = np.concatenate([[True], symbols[1:] != symbols[:-1]])
    said: Indices = symbols[is_new & (symbols != blank)]
    return said

"""Blobs that are pieces of a larger one along one axis: what Concat and Slice have in common."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import concat


class Parts:
    """Where each part lies in the whole.

    Args:
        shape: of the whole. axis: along which it is cut.
        edges: where the parts begin along it, and where the last one ends.
    """

    def __init__(self, shape: Sequence[int], axis: int, edges: Sequence[int]) -> None:
        inner = math.prod(shape[axis + 1 :])
        outer = math.prod(shape[:axis])
        self._whole = outer, shape[axis] * inner
        self._rows = [(outer, (end - start) * inner) for start, end in itertools.pairwise(edges)]
        self._starts = np.array(edges[:-1], np.int64) * inner

    def join(self, parts: Iterable[Array], whole: Array) -> None:
        """Copies all parts into the whole."""
        rows = [part.reshape(shape) for part, shape in zip(parts, self._rows, strict=True)]
        concat.join(rows, self._starts, whole.reshape(self._whole))

    def split(self, whole: Array, parts: Iterable[Array | None]) -> None:
        """Copies the whole into its parts, None for those that are not wanted."""
        wanted = [(i, part) for i, part in enumerate(parts) if part is not None]
        if wanted:
            rows = [part.reshape(self._rows[i]) for i, part in wanted]
            concat.split(whole.reshape(self._whole), self._starts[[i for i, _ in wanted]], rows)

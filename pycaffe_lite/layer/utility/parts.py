"""Parts of a blob along one axis, joined and split: shared by Concat and Slice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import concat


class Parts:
    """The places of the parts in the whole, and copying to and from them.

    Args:
        shape: the shape of the whole. axis: the axis along which it is cut.
        edges: the index at which each part begins, and the one at which the last part ends.
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
        """Copies the whole into its parts; a part that is not wanted is None."""
        wanted = [(i, part) for i, part in enumerate(parts) if part is not None]
        if wanted:
            rows = [part.reshape(self._rows[i]) for i, part in wanted]
            concat.split(whole.reshape(self._whole), self._starts[[i for i, _ in wanted]], rows)

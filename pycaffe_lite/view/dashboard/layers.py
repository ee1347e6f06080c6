"""Weights, gradients and updates of a net in training: how they are spread, and how large they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.net.net import Net
from pycaffe_lite.printable import printable

# Of a larger blob every n-th value is looked at, so that a look takes milliseconds for any net.
MOST_VALUES = 1 << 16
BINS = 40
# The first convolution's kernels, of which a picture shows no more.
MOST_KERNELS, MOST_CHANNELS = 256, 64


@dataclass(frozen=True)
class Histogram:
    """How values are spread.

    Attributes:
        low, high: the least and the largest finite value. counts: in BINS parts of equal width between them.
        lost: how many values are not finite.
    """

    low: float
    high: float
    counts: list[int]
    lost: int = 0

    @classmethod
    def of(cls, values: Array) -> Histogram:
        """Of the values of a flat array."""
        finite = values[np.isfinite(values)].astype(np.float64)
        if not len(finite):
            return cls(0.0, 0.0, [0] * BINS, len(values))
        low, high = float(finite.min()), float(finite.max())
        # The values' places, once they are scaled to 0 ... BINS; of equal values all in the middle.
        scale = BINS / (high - low) if high > low else 0.0
        if not math.isfinite(scale):
            scale = 0.0
        places = np.minimum((finite - low) * scale, BINS - 1).astype(np.intp) if scale else BINS // 2
        counts = np.bincount(np.broadcast_to(places, finite.shape), minlength=BINS)
        return cls(low, high, counts.tolist(), len(values) - len(finite))


@dataclass(frozen=True)
class BlobLook:
    """What there is to see of a learnable blob.

    Attributes:
        layer: the layer's name, printable. index: the blob's in the layer. shape: its shape.
        weights, gradients: how its values before the update, and their gradients, are spread.
        size, gradient_size: the root mean square of both.
        ratio: the norm of the update divided by that of the weights; None if one of them is 0 or not finite.
    """

    layer: str
    index: int
    shape: tuple[int, ...]
    weights: Histogram
    gradients: Histogram
    size: float
    gradient_size: float
    ratio: float | None


def sampled(values: Array) -> Array:
    """The values of an array, or every n-th of many, in memory of their own, flat."""
    flat = values.reshape(-1)
    step = -(-flat.size // MOST_VALUES)
    some: Array = flat[:: step | 1 if step > 1 else 1].copy()  # an odd step: sizes of layers are mostly even
    return some


class LayerLook:
    """A look at all learnable blobs: begun before an update, finished after it.

    Args:
        net: the train net, with the gradients of an iteration.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self._owners = [param for param in net.param_table.params if param.owner is None]
        self._weights = [sampled(param.blob.data) for param in self._owners]
        self._gradients = [sampled(param.blob.diff) for param in self._owners]

    def finish(self) -> list[BlobLook]:
        """What there is to see, now that the weights have been updated."""
        return list(self._looks())

    def _looks(self) -> Iterator[BlobLook]:
        for param, weights, gradients in zip(self._owners, self._weights, self._gradients, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):  # of a run that has diverged
                update = root_mean_square(sampled(param.blob.data) - weights)
            size = root_mean_square(weights)
            ratio = update / size if size and update and math.isfinite(update / size) else None
            yield BlobLook(
                *(printable(param.layer.name), param.index, param.blob.shape),
                Histogram.of(weights),
                Histogram.of(gradients),
                *(size, root_mean_square(gradients), ratio),
            )


def root_mean_square(values: Array) -> float:
    """The root of the mean of the squares; 0 of no values."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.sqrt(np.square(values, dtype=np.float64).mean()) if len(values) else 0.0


def first_kernels(net: Net) -> tuple[str, Array] | None:
    """The name of the first convolution whose kernels are larger than a pixel, and its kernels.

    Returns:
        The kernels, (M, C, H, W), a copy of as many as are shown; None if there is no such layer.
    """
    for node in net.graph.nodes:
        if "Convolution" in node.layer.type and node.layer.blobs:
            weights = node.layer.blobs[0].data
            if weights.ndim == 4 and _area(weights.shape) > 1:
                return printable(node.layer.name), weights[:MOST_KERNELS, :MOST_CHANNELS].copy()
    return None


def _area(shape: Sequence[int]) -> int:
    return shape[2] * shape[3]

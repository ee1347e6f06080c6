"""Subtracting means and dividing by deviations: what BatchNorm and MVN have in common."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import channels

Moments = npt.NDArray[np.float64]


class Standardizer:
    """y = (x - mean) scale, with a mean and a scale per channel of (N, C, inner) arrays.

    Where the gradient needs y and x is overwritten (the layer works in place), y is kept apart: later layers
    may overwrite it as well.

    Args:
        dtype: of the arrays.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._kept = Blob(dtype=dtype)

    def moments(self, x: Array) -> tuple[Moments, Moments]:
        """Mean and (biased) variance of each channel, (C,) each. x: (N, C, inner), not empty."""
        mean, variance = np.empty(x.shape[1]), np.empty(x.shape[1])
        channels.moments(x, mean, variance)
        return mean, variance

    def forward(self, x: Array, mean: Moments, scale: Moments, y: Array, *, keep: bool) -> None:
        """Compute y; with `keep`, y is kept for `backward`, whatever happens to x afterwards."""
        self._mean, self._scale = mean.astype(x.dtype), scale.astype(x.dtype)
        self._is_kept = keep
        zero = np.zeros_like(self._mean)
        if not keep:
            channels.affine(x, self._mean, self._scale, zero, y)
            return
        self._kept.reshape(x.shape)
        channels.affine(x, self._mean, self._scale, zero, self._kept.data)
        np.copyto(y, self._kept.data)

    def backward_fixed(self, dy: Array, dx: Array) -> None:
        """Compute dx = dy scale, where mean and scale do not depend on x. dx may be dy."""
        zero = np.zeros_like(self._scale)
        channels.affine(dy, zero, self._scale, zero, dx)

    def backward_mean(self, dy: Array, dx: Array) -> None:
        """Compute dx = dy - mean(dy), where x lost its mean only. dx may be dy."""
        mean, _ = self._means(dy, dy[:0])
        one = np.ones_like(self._scale)
        channels.affine(dy, mean.astype(dy.dtype), one, np.zeros_like(one), dx)

    def backward(self, x: Array, dy: Array, dx: Array) -> None:
        """Compute dx = (dy - mean(dy) - mean(dy y) y) scale, where both depend on x. dx may be dy."""
        scale = self._scale.astype(np.float64)
        # y = (source - centre) slope, from x or from itself.
        source, centre, slope = x, self._mean.astype(np.float64), scale
        if self._is_kept:
            source, centre, slope = self._kept.data, np.zeros_like(scale), np.ones_like(scale)
        mean_dy, mean_product = self._means(dy, source)
        mean_dy_y = (mean_product - centre * mean_dy) * slope
        of_source = -mean_dy_y * slope * scale
        shift = -mean_dy * scale - of_source * centre
        T = dy.dtype
        channels.blend(dy, self._scale, source, of_source.astype(T), shift.astype(T), dx)

    @staticmethod
    def _means(a: Array, b: Array) -> tuple[Moments, Moments]:
        """Means per channel of a, and of a b unless b is empty."""
        N, C, inner = a.shape
        sum_a, sum_ab = np.empty(C), np.zeros(C)
        channels.sums(a, b, sum_a, sum_ab)
        return sum_a / (N * inner), sum_ab / (N * inner)

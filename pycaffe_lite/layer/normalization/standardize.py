"""Standardisation, subtracting means and dividing by deviations: shared by BatchNorm and MVN."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import channels

Moments = npt.NDArray[np.float64]


class Standardizer:
    """Computes y = (x - mean) scale and its gradients, for a mean and a scale per channel.

    Arrays are (N, C, inner), with the channels on axis 1.

    Args:
        copy: a buffer of the layer's, to hold a copy of x.
    """

    def __init__(self, copy: Blob) -> None:
        self._copy = copy

    def moments(self, x: Array) -> tuple[Moments, Moments]:
        """The mean and the biased variance of each channel, (C,) each. x must not be empty."""
        mean, variance = np.empty(x.shape[1]), np.empty(x.shape[1])
        channels.moments(x, mean, variance)
        return mean, variance

    def forward(self, x: Array, mean: Moments, scale: Moments, y: Array, *, keep: bool) -> None:
        """Computes y, which may be x; in that case `keep` keeps a copy of x, which `backward` needs."""
        T = x.dtype
        self._x, self._mean, self._scale = x, mean.astype(T), scale.astype(T)
        # Rounding a mean far from 0 to the arrays' type loses what counts if the values lie close together.
        with np.errstate(invalid="ignore"):  # infinite means and scales give NaN
            self._rest = mean - self._mean
            shift = (-self._rest * scale).astype(T)
        if keep:
            self._copy.reshape(x.shape)
            self._x = self._copy.data
            np.copyto(self._x, x)
        channels.affine(x, self._mean, self._scale, shift, y)

    def backward_fixed(self, dy: Array, dx: Array) -> None:
        """Computes dx = dy scale, for a mean and a scale that do not depend on x. dx may be dy."""
        zero = np.zeros_like(self._scale)
        channels.affine(dy, zero, self._scale, zero, dx)

    def backward_mean(self, dy: Array, dx: Array) -> None:
        """Computes dx = dy - mean(dy), for a scale of 1 and a mean that depends on x. dx may be dy."""
        mean, _ = self._means(dy, dy[:0])
        one = np.ones_like(self._scale)
        channels.affine(dy, mean.astype(dy.dtype), one, np.zeros_like(one), dx)

    def backward(self, dy: Array, dx: Array) -> None:
        """Computes dx = (dy - mean(dy) - mean(dy y) y) scale, for both depending on x. dx may be dy."""
        scale = self._scale.astype(np.float64)
        mean_dy, mean_dy_x = self._means(dy, self._x)
        mean_dy_y = (mean_dy_x - (self._mean + self._rest) * mean_dy) * scale
        of_x = -mean_dy_y * scale**2  # the factor of x once y = (x - mean) scale is inserted
        shift = -mean_dy * scale - of_x * self._rest
        T = dy.dtype
        channels.blend(dy, self._scale, self._x, self._mean, of_x.astype(T), shift.astype(T), dx)

    @staticmethod
    def _means(a: Array, b: Array) -> tuple[Moments, Moments]:
        """The means per channel of a, and of a b unless b is empty."""
        N, C, inner = a.shape
        sum_a, sum_ab = np.empty(C), np.zeros(C)
        channels.sums(a, b, sum_a, sum_ab)
        return sum_a / (N * inner), sum_ab / (N * inner)

"""The rectified linear unit that Intel's fork lets a layer of products have inside."""

from __future__ import annotations

from typing import Any

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import relu
from pycaffe_lite.layer.base import Layer


class Rectifier:
    """A layer's own unit, by the fields `relu` and `negative_slope`: y = x for x > 0, else slope x.

    Args:
        layer: whose it is.

    Attributes:
        slope: None for a layer without the unit, which these methods then leave as it is.

    Raises:
        LayerError: a slope below 0: the unit's results would not tell its arguments.
    """

    def __init__(self, layer: Layer[Any]) -> None:
        p = layer.param
        self.slope: float | None = p.negative_slope if p.relu else None
        if self.slope is not None and self.slope < 0:
            raise layer.error(f"needs a negative_slope of at least 0, got {self.slope:g}")
        self._before = layer.add_buffer() if p.relu else None

    def apply(self, y: Array) -> None:
        """Applies the unit to a result, in place."""
        if self.slope is not None:
            relu.forward(y.ravel(), self.slope, y.ravel())

    def diff_before(self, top: Blob) -> Array:
        """The gradient of what the unit took, by the top's values and gradient."""
        if self.slope is None or self._before is None:
            return top.diff
        self._before.reshape_like(top)
        relu.backward(top.data.ravel(), top.diff.ravel(), self.slope, self._before.data.ravel())
        return self._before.data

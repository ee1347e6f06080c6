"""Interp: images of another size."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import interp
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Interp", param="interp_param", origin="DeepLab, PSPNet and ICNet")
class InterpLayer(Layer[caffe_pb2.InterpParameter]):
    """Bilinear interpolation with aligned corners: the corners of y are those of x.

    y[p, q] lies at row p (H - 1) / (P - 1) and column q (W - 1) / (Q - 1) of x, between the four nearest
    values. dy goes back to these by the same weights.

    Bottom: x, (N, C, H, W), of which -pad_beg rows and columns are cut off before and -pad_end behind.
    Top: y, (N, C, P, Q). With `shrink_factor` s alone P = (H - 1) / s + 1, rounded down; with `zoom_factor` z
    alone P = H + (H - 1)(z - 1); else `height` and `width`, or, with both factors, shrunk and then zoomed.
    Raises LayerError where none of these is given, for positive padding, factors of 0, an empty part, and in
    place.
    Source: hszhao/PSPNet src/caffe/layers/interp_layer.cpp and src/caffe/util/interp.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.error(f"only cuts off: needs pads of 0 or less, got {p.pad_beg} and {p.pad_end}")
        for name in ("shrink_factor", "zoom_factor"):
            if p.HasField(name) and getattr(p, name) < 1:
                raise self.error(f"needs {name} of 1 or more, got {getattr(p, name)}")
        has_factor = p.HasField("shrink_factor") or p.HasField("zoom_factor")
        if not has_factor and not (p.HasField("height") and p.HasField("width")):
            raise self.error("needs shrink_factor, zoom_factor, or height and width in interp_param")

    def _size(self, size: int, given: int) -> int:
        """The size of an axis of y, for one of x without its pads."""
        p = self.param
        shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
        if zooms == shrinks and p.HasField("height") and p.HasField("width"):
            return given
        if shrinks:
            size = (size - 1) // p.shrink_factor + 1
        return size + (size - 1) * (p.zoom_factor - 1) if zooms else size

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, p = bottom[0], self.param
        height, width = (size + p.pad_beg + p.pad_end for size in (x.height, x.width))
        P, Q = self._size(height, p.height), self._size(width, p.width)
        if min(height, width, P, Q) < 1:
            raise self.error(f"output would be empty: {P}x{Q} from {height}x{width} of shape {x.shape}")
        top[0].reshape(x.num, x.channels, P, Q)
        self.planes = (x.num * x.channels, x.height, x.width)
        self.part = (slice(None), *(slice(-p.pad_beg, -p.pad_beg + size) for size in (height, width)))
        self.places = (*interp.places(height, P), *interp.places(width, Q))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        y = top[0].data.reshape(self.planes[0], *top[0].shape[2:])
        interp.forward(bottom[0].data.reshape(self.planes)[self.part], *self.places, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dy, dx = top[0].diff.reshape(self.planes[0], *top[0].shape[2:]), bottom[0].diff
            dx.fill(0)
            interp.backward(dy, *self.places, dx.reshape(self.planes)[self.part])

"""Im2col: lays out the patches under a convolution's kernel as channels."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels.im2col import Axes, col2im, im2col
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.spatial import check_padding, spatial_window
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

# Fields of convolution_param that concern a convolution's values, not its window.
_UNREAD = (
    *("num_output", "bias_term", "group", "weight_filler", "bias_filler", "engine", "force_nd_im2col"),
    *("relu", "negative_slope"),
)


@register_layer("Im2col", param="convolution_param")
class Im2colLayer(Layer[caffe_pb2.ConvolutionParameter]):
    """Lays out the patch of x under the kernel at each output position along the channels.

    With two spatial axes, stride s and dilation d, and 0 outside:

        y[n, (c, i, j), p, q] = x[n, c, p s - pad + i d, q s - pad + j d]

    dx[n, c, h, w] is the sum of dy over all (i, j, p, q) that read it.

    Bottom: x, (N, C, H, W): channels on `axis`, any number of axes before it and one or more spatial ones
    after it.
    Top: y, (N, C kernel_h kernel_w, P, Q), P and Q as for Convolution. Of convolution_param only the window
    and `axis` count; the log names other fields that are given.
    Raises LayerError for a bottom without spatial axes, sizes given in a wrong number or way, a window that
    yields no output, and in place.
    Source: BVLC/caffe src/caffe/layers/im2col_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        for field in _UNREAD:
            if self.param.HasField(field):
                log.warning("layer '%s' (Im2col): convolution_param.%s has no effect", self.name, field)
        shape = bottom[0].shape
        self.axis = bottom[0].canonical_axis(self.param.axis)
        self.spatial = len(shape) - self.axis - 1
        if self.spatial < 1:
            raise self.error(f"needs a spatial axis after axis {self.axis}, got bottom shape {shape}")
        self.window = spatial_window(self, self.param, self.spatial)
        w = self.window
        self.axes = Axes.of(w.kernel, w.pad, w.stride, w.dilation)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != self.axis + 1 + self.spatial:
            raise self.error(f"needs {self.axis + 1 + self.spatial} axes, got bottom shape {shape}")
        sizes = self.window.output(shape[self.axis + 1 :])
        if any(size < 1 for size in sizes):
            raise self.error(f"output would be empty: bottom shape {shape} with {self.window}")
        check_padding(self, shape[self.axis], shape[self.axis + 1 :], self.window.pad)
        self.N = math.prod(shape[: self.axis])
        channels = shape[self.axis] * math.prod(self.window.kernel)
        top[0].reshape((*shape[: self.axis], channels, *sizes))

    def _images(self, array: Array) -> Array:
        return array.reshape(self.N, *array.shape[self.axis :])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for x, y in zip(self._images(bottom[0].data), self._images(top[0].data), strict=True):
            im2col(x, self.axes, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            for dy, dx in zip(self._images(top[0].diff), self._images(bottom[0].diff), strict=True):
                col2im(dy, self.axes, dx)

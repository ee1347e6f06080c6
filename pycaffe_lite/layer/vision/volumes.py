"""What convolution and pooling over volumes have in common: windows of any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import convolution_nd, pooling_3d
from pycaffe_lite.kernels.im2col import Axes
from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.vision.spatial import Sizes, SpatialWindow, check_padding
from pycaffe_lite.proto import caffe_pb2


class VolumeConvolutionLayer(Layer[P]):
    """A convolution whose bottom is (N, C, *image), for any spatial axes.

    Attributes:
        window: the kernel along the spatial axes. group: number of groups of channels.
        weight: (M, C / group, *kernel). bias: of M values, or None.
    """

    exact_bottoms = exact_tops = 1
    weight: Blob
    bias: Blob | None

    def set_up_window(
        self, bottom: Blobs, top: Blobs, outputs: int, group: int, window: SpatialWindow
    ) -> None:
        """Takes over the sizes.

        Raises:
            LayerError: the bottom has another number of axes, or a number is 0 or does not divide another.
        """
        if top[0] is bottom[0]:
            raise self.error("cannot work in place")
        axes = len(window.kernel)
        if len(bottom[0].shape) != axes + 2:
            raise self.error(f"needs a bottom of {axes + 2} axes, got shape {bottom[0].shape}")
        self.channels = bottom[0].shape[1]
        for name, count in (("num_output", outputs), ("group", group), ("channels", self.channels)):
            if count < 1:
                raise self.error(f"needs {name} of at least 1, got {count}")
        for name, count in (("channels", self.channels), ("num_output", outputs)):
            if count % group:
                raise self.error(f"needs {name} to be a multiple of group {group}, got {count}")
        if min(*window.kernel, *window.stride) < 1:
            raise self.error(f"needs a kernel and a stride of at least 1 along every axis, got {window}")
        self.window, self.group, self.outputs = window, group, outputs
        self.axes = Axes.of(window.kernel, window.pad, window.stride, window.dilation)

    def top_shape(self, sizes: Sizes) -> Sizes:
        """The shape of a top without its first axis, for a result of these spatial sizes."""
        return self.outputs, *sizes

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != len(self.window.kernel) + 2 or shape[1] != self.channels:
            raise self.error(
                f"needs {len(self.window.kernel) + 2} axes with {self.channels} channels, got bottom shape "
                f"{shape}"
            )
        sizes = self.window.output(shape[2:])
        if min(sizes) < 1:
            raise self.error(f"output would be empty: bottom shape {shape} with {self.window}")
        check_padding(self, self.channels, shape[2:], self.window.pad)
        self.result = (shape[0], self.outputs, *sizes)
        top[0].reshape((shape[0], *self.top_shape(sizes)))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        bias = None if self.bias is None else self.bias.data.reshape(-1)
        y = top[0].data.reshape(self.result)
        convolution_nd.forward(bottom[0].data, self.weight.data, bias, y, self.axes, self.group)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        x, dy = bottom[0].data, top[0].diff.reshape(self.result)
        if self.bias is not None and self.param_propagate_down[1]:
            self.bias.diff.reshape(-1)[...] += dy.sum(axis=(0, *range(2, dy.ndim)), dtype=np.float64)
        if self.param_propagate_down[0]:
            convolution_nd.backward_weights(x, dy, self.weight.diff, self.axes, self.group)
        if propagate_down[0]:
            convolution_nd.backward_data(dy, self.weight.data, bottom[0].diff, self.axes, self.group)


class VolumePoolingLayer(Layer[P]):
    """Maxima or means of windows over up to three spatial axes.

    Attributes:
        window: kernel, pad and stride, (3, 3), for depth, height and width.
        is_max: whether it gives maxima, not means.
        whole: whether a mean is that of the whole window, not of the part up to the padding's end.
    """

    exact_bottoms = exact_tops = 1
    window: Array
    is_max: bool
    whole: bool

    def volumes(self, array: Array) -> Array:
        """(N, C, *image) as volumes, (N C, D, H, W)."""
        image = array.shape[2:]
        return array.reshape(-1, *(1,) * (3 - len(image)), *image)

    def check_pool(self, pool: int) -> None:
        """Takes over the method.

        Raises:
            LayerError: it is STOCHASTIC.
        """
        if pool not in (caffe_pb2.PoolingParameter.MAX, caffe_pb2.PoolingParameter.AVE):
            raise self.error("pools MAX or AVE, not STOCHASTIC")
        self.is_max = pool == caffe_pb2.PoolingParameter.MAX

    def shape_top(self, bottom: Blobs, top: Blobs, sizes: Sizes) -> None:
        """Gives the top these spatial sizes.

        Raises:
            LayerError: one is 0 or less.
        """
        shape = bottom[0].shape
        if min(sizes) < 1:
            raise self.error(f"output would be empty: bottom shape {shape}, top sizes {sizes}")
        check_padding(self, shape[1], shape[2:], tuple(int(p) for p in self.window[1, 3 - len(sizes) :]))
        top[0].reshape((*shape[:2], *sizes))
        self.index.reshape(self.volumes(top[0].data).shape)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if top[0] is bottom[0]:
            raise self.error("cannot work in place")
        self.index = self.add_buffer(np.int64)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self.volumes(bottom[0].data), self.volumes(top[0].data)
        if self.is_max:
            pooling_3d.max_forward(x, self.window, y, self.index.data)
        else:
            pooling_3d.mean_forward(x, self.window, self.whole, y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            dy, dx = self.volumes(top[0].diff), self.volumes(bottom[0].diff)
            if self.is_max:
                self.max_backward(bottom, top, dy, dx)
            else:
                pooling_3d.mean_backward(dy, self.window, self.whole, dx)

    def max_backward(self, bottom: Blobs, top: Blobs, dy: Array, dx: Array) -> None:
        """Overwrites dx, the gradient of maxima."""
        pooling_3d.max_backward(dy, self.index.data, dx)


def outputs(size: int, kernel: int, pad: int, stride: int) -> int:
    """How many windows there are along an axis, the quotient rounded up."""
    return -(-(size + 2 * pad - kernel) // stride) + 1


def sizes_of(layer: Layer[Any], param: Any, axes: int) -> tuple[Sizes, Sizes, Sizes]:
    """The sizes kernel_shape, pad_shape and stride_shape of video-caffe's layers, for so many axes.

    Raises:
        LayerError: kernel_shape is missing, or one is of another length.
    """
    kernel, pad, stride = (tuple(getattr(param, f"{name}_shape").dim) for name in ("kernel", "pad", "stride"))
    pad, stride = pad or (0,) * axes, stride or (1,) * axes
    for name, sizes in (("kernel_shape", kernel), ("pad_shape", pad), ("stride_shape", stride)):
        if len(sizes) != axes or min(sizes) < (name != "pad_shape"):
            raise layer.error(f"needs {name} with a size for each of {axes} spatial axes, got {list(sizes)}")
    return kernel, pad, stride

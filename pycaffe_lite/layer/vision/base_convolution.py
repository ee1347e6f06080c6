"""The base of Convolution and Deconvolution."""

from __future__ import annotations

import math

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import convolution, convolution_nd
from pycaffe_lite.kernels.convolution import NO_EPILOGUE, Epilogue, Window
from pycaffe_lite.kernels.im2col import Axes
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.rectifier import Rectifier
from pycaffe_lite.layer.replay import by_shapes
from pycaffe_lite.layer.vision.spatial import Sizes, check_padding, spatial_window
from pycaffe_lite.proto import caffe_pb2

WIDE = 2**24  # padded images of up to so many values are never too wide for the 2-D kernels


class BaseConvolutionLayer(Layer[caffe_pb2.ConvolutionParameter]):
    """A layer whose kernel moves over the axes after `axis`; the axes before it count as a batch.

    Each bottom has a top of its own; all bottoms have one shape and share the weights.

    Attributes:
        axis: the axis of the channels. spatial: how many axes follow it. channels: the bottoms' number of
            channels.
        window: the kernel along the spatial axes. group: the number of groups of channels.
        N: the number of images in each bottom.

    Source: BVLC/caffe src/caffe/layers/base_conv_layer.cpp
    """

    min_bottoms = min_tops = 1
    equal_bottoms_tops = True

    def weight_shape(self) -> Sizes:
        """The shape of the weights without the axes of the kernel: (rows, columns of one group)."""
        raise NotImplementedError

    def output_sizes(self, sizes: Sizes) -> Sizes:
        """The spatial sizes of the tops, for bottoms of the given sizes."""
        raise NotImplementedError

    def image(self, sizes: Sizes) -> tuple[int, Sizes]:
        """The channels and the sizes of what the kernel moves over, for bottoms of the given sizes."""
        raise NotImplementedError

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        note_engine(self)
        shape = bottom[0].shape
        self.axis = bottom[0].canonical_axis(p.axis)
        self.spatial = len(shape) - self.axis - 1
        self.channels, self.group = shape[self.axis], p.group
        self.window = spatial_window(self, p, self.spatial)
        for name, count in (("num_output", p.num_output), ("group", p.group), ("channels", self.channels)):
            if count < 1:
                raise self.error(f"needs {name} of at least 1, got {count}")
        for name, count in (("channels", self.channels), ("num_output", p.num_output)):
            if count % self.group:
                raise self.error(f"needs {name} to be a multiple of group {self.group}, got {count}")
        self.weight = self.add_blob((*self.weight_shape(), *self.window.kernel), p.weight_filler)
        self.bias = self.add_blob((p.num_output,), p.bias_filler) if p.bias_term else None
        self.rectifier = Rectifier(self)
        self._choose_kernels(shape[self.axis + 1 :])

    def _choose_kernels(self, sizes: Sizes) -> None:
        """Chooses the 2-D kernels for up to two spatial axes, with axes of length 1 for those that lack.

        These kernels put the padding into memory. If it takes many times the memory of the image, or there
        are more spatial axes, the kernels for any number of axes serve.
        """
        w = self.window
        channels, image = self.image(sizes)
        padded = channels * math.prod(n + 2 * p for n, p in zip(image, w.pad, strict=True))
        is_wide = padded > max(WIDE, 16 * channels * math.prod(image))
        self.plane: Window | None = None
        self._filling: Sizes = ()
        if self.spatial > 2 or (self.spatial and (self.param.force_nd_im2col or is_wide)):
            self.axes = Axes.of(w.kernel, w.pad, w.stride, w.dilation)
        else:
            self._filling = (1,) * (2 - self.spatial)
            none = (0,) * (2 - self.spatial)
            kernel, stride, dilation = (self._filling + s for s in (w.kernel, w.stride, w.dilation))
            self.plane = Window._make([*kernel, *none, *w.pad, *stride, *dilation, self.group])

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != self.axis + 1 + self.spatial or shape[self.axis] != self.channels:
            raise self.error(
                f"needs {self.axis + 1 + self.spatial} axes with {self.channels} channels on axis "
                f"{self.axis}, got bottom shape {shape}"
            )
        for blob in bottom[1:]:
            if blob.shape != shape:
                raise self.error(f"needs bottoms of one shape, got {shape} and {blob.shape}")
        for blob in top:
            if blob in bottom:
                raise self.error("cannot work in place")
        self.N = math.prod(shape[: self.axis])
        sizes = self.output_sizes(shape[self.axis + 1 :])
        if any(size < 1 for size in sizes):
            raise self.error(f"output would be empty: bottom shape {shape} with {self.window}")
        check_padding(self, *self.image(shape[self.axis + 1 :]), self.window.pad)
        for blob in top:
            blob.reshape((*shape[: self.axis], self.param.num_output, *sizes))

    # ------------------------ the operations: a convolution leads from an image to a result, and back

    def convolve(
        self, image: Array, weight: Array, bias: Array | None, result: Array, epilogue: Epilogue = NO_EPILOGUE
    ) -> None:
        """Computes result = weight * image + bias, and then `epilogue` (of the 2-D kernels only)."""
        image, result = self._stack(image), self._stack(result)
        if self.plane is None:
            convolution_nd.forward(image, weight, bias, result, self.axes, self.group)
        else:
            convolution.forward(image, self._kernels(weight), bias, result, self.plane, epilogue)

    def convolve_back(self, result: Array, weight: Array, image: Array) -> None:
        """Overwrites `image` with its gradient; `result` holds the gradient of the result."""
        image, result = self._stack(image), self._stack(result)
        if self.plane is None:
            convolution_nd.backward_data(result, weight, image, self.axes, self.group)
        else:
            convolution.backward_data(result, self._kernels(weight), image, self.plane)

    def add_weight_gradient(self, image: Array, result: Array) -> None:
        """Adds the gradient of the weights; `result` holds the gradient of the result."""
        image, result = self._stack(image), self._stack(result)
        if self.plane is None:
            convolution_nd.backward_weights(image, result, self.weight.diff, self.axes, self.group)
        else:
            dw, holds_some = self.weight.diff_to_add()
            convolution.backward_weights(image, result, self._kernels(dw), self.plane, holds_some)

    def add_bias(self, y: Array, bias: Array) -> None:
        """Adds bias[m] to all values of a top's channel m."""
        y = self._stack(y)
        y += bias.reshape(-1, *(1,) * (y.ndim - 2))

    def add_bias_gradient(self, bias: Blob, dy: Array) -> None:
        """Adds to the gradient of the bias: db[m] += the sum of dy over channel m of all images."""
        db, holds_some = bias.diff_to_add()
        convolution.backward_bias(self._stack(dy), db, holds_some)

    def _stack(self, array: Array) -> Array:
        """Views a bottom's or top's values as (N, channels, *spatial): (N, C, H, W) for the 2-D kernels."""
        if self.axis == 1 and not self._filling:
            return array
        shape = array.shape
        return array.reshape(self.N, shape[self.axis], *self._filling, *shape[self.axis + 1 :])

    def _kernels(self, weight: Array) -> Array:
        """Views the weights with two spatial axes."""
        if not self._filling:
            return weight
        return weight.reshape(*weight.shape[:2], *self._filling, *weight.shape[2:])

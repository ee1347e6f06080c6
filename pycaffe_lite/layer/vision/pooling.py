"""Pooling: maxima or means of windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import pooling
from pycaffe_lite.kernels.pooling import PoolingWindow
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.fusing import TakesSlopeBack, fills_tops
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.layer.vision.spatial import OF_C3D_POOLING, OF_ND, check_padding
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2

PoolingParameter = caffe_pb2.PoolingParameter


@register_layer("Pooling", param="pooling_param")
class PoolingLayer(Layer[PoolingParameter], TakesSlopeBack):
    """Down-samples each plane by windows; those of output row p begin at input row p stride - pad.

    MAX         y = max x; dx = dy at the first of the largest values, in row order
    AVE         y = Σ x / area; dx = dy / area. The area counts padding, on either side at most `pad`
    STOCHASTIC  in training y is one of the x, drawn with probability x / Σ x (for x >= 0), dx = dy there;
                in TEST y = Σ x² / Σ x, dx = dy (2 x - y) / Σ x. One draw of the random stream for each output

    A window is cut off at the image's edges. If stride is larger than kernel, a window at the right or the
    bottom may lie wholly outside: then y is 0, for MAX the lowest float32, and no x gets a gradient from it.

    Bottom: x, (N, C, H, W). Top: y, (N, C, P, Q), P = (H + 2 pad - kernel) / stride + 1, the quotient rounded
    up, or down with round_mode FLOOR or ceil_mode false; with padding, a last window that would begin beyond
    H + pad is left out. For MAX, optionally a second top of y's shape: h W + w of each maximum, as a float,
    or -1 if there is none (all NaN). With global_pooling, one window covers the plane.
    Raises LayerError for a bottom of other than 4 axes; for sizes that are missing, given twice, or 0; for
    padding that is not below the kernel's size, or with STOCHASTIC; for a window that yields no output; for a
    second top without MAX; and in place.
    Paper (STOCHASTIC): Zeiler, Fergus, "Stochastic Pooling for Regularization of Deep CNNs", 2013 (arXiv
    1301.3557).
    Source: BVLC/caffe src/caffe/layers/pooling_layer.cpp
    """

    exact_bottoms = 1
    min_tops = 1
    max_tops = 2

    def allow_top_gradient(self, top_index: int) -> bool:
        """True for y, but not for the indices."""
        return top_index == 0

    # ------------------------------------------------------------- setting up

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)
        note_without_effect(self, *OF_ND, because="only layers of type NdPooling read them")
        refuse_fields(self, *OF_C3D_POOLING)
        self.pool = self.param.pool
        if len(top) > 1 and self.pool != PoolingParameter.MAX:
            raise self.error("has a second top, the indices of the maxima, with pool MAX only")
        if bottom[0] in top:
            raise self.error("cannot work in place")
        self.gives_indices = len(top) > 1
        self._read_sizes()
        self.index = self.add_buffer(np.int32)  # which value of its plane each output took
        self.indexed = False  # whether the last forward pass has written these indices
        self.plane = (0, 0)  # the height and width of the planes that they refer to

    def _read_sizes(self) -> None:
        """Reads kernel, stride and pad; with global_pooling, the bottom decides the kernel's size."""
        p = self.param
        self.stride = self._pair("stride", p.stride, (p.stride_h, p.stride_w))
        self.pad = self._pair("pad", p.pad, (p.pad_h, p.pad_w))
        if p.global_pooling:
            if any(p.HasField(name) for name in ("kernel_size", "kernel_h", "kernel_w")):
                raise self.error("takes no kernel size with global_pooling")
            if self.pad != (0, 0) or self.stride != (1, 1):
                raise self.error("takes neither pad nor stride with global_pooling")
            return
        self.kernel = self._pair("kernel", p.kernel_size, (p.kernel_h, p.kernel_w), "kernel_size")
        if 0 in self.kernel or 0 in self.stride:
            raise self.error(f"needs a kernel and a stride of at least 1, got {self._sizes()}")
        if any(self.pad) and self.pool == PoolingParameter.STOCHASTIC:
            raise self.error("takes no pad with pool STOCHASTIC")
        if any(pad >= kernel for pad, kernel in zip(self.pad, self.kernel, strict=True) if pad):
            raise self.error(f"needs pad below the kernel's size, got {self._sizes()}")

    def _pair(
        self, name: str, square: int, pair: tuple[int, int], field: str | None = None
    ) -> tuple[int, int]:
        """Reads a size along height and width, given by one field or by two.

        Args:
            name: the size, `stride`. square: the value of its one field. pair: the values of its two.
            field: the name of the one field if it is not `name`; a size that has such a field is required.
        """
        once = self.param.HasField(field or name)
        twice = [self.param.HasField(f"{name}_{axis}") for axis in "hw"]
        if (any(twice) and (once or not all(twice))) or (field and not (once or any(twice))):
            raise self.error(f"needs either {field or name}, or {name}_h and {name}_w")
        return pair if any(twice) else (square, square)

    def _sizes(self) -> str:
        pairs = {"kernel": self.kernel, "stride": self.stride, "pad": self.pad}
        return ", ".join(f"{name} {h}x{w}" for name, (h, w) in pairs.items())

    # ----------------------------------------------------------------- shaping

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4:
            raise self.error(f"needs a bottom of 4 axes, got shape {shape}")
        N, C, H, W = shape
        if self.param.global_pooling:
            self.kernel = H, W
        P, Q = (self._outputs(size, axis) for axis, size in enumerate((H, W)))
        if P < 1 or Q < 1:
            raise self.error(f"output would be empty: bottom shape {shape} with {self._sizes()}")
        check_padding(self, C, (H, W), self.pad)
        # Sizes beyond the padded plane change nothing: the window sees no more, and steps outside anyway.
        padded = max(H + 2 * self.pad[0], 1), max(W + 2 * self.pad[1], 1)
        kernel = [min(k, n) for k, n in zip(self.kernel, padded, strict=True)]
        stride = [min(s, n) for s, n in zip(self.stride, padded, strict=True)]
        self.window = PoolingWindow._make([*kernel, *self.pad, *stride])
        for blob in top:
            blob.reshape((N, C, P, Q))
        if self.index.shape != (N * C, P, Q) or self.plane != (H, W):
            self.index.reshape(N * C, P, Q)
            if self.pool == PoolingParameter.STOCHASTIC:  # a gradient could come before the next draws
                self.index.data.fill(0)
            self.indexed, self.plane = False, (H, W)

    def _outputs(self, size: int, axis: int) -> int:
        kernel, stride, pad = self.kernel[axis], self.stride[axis], self.pad[axis]
        room = size + 2 * pad - kernel
        if self.param.round_mode == PoolingParameter.CEIL and self.param.ceil_mode:
            outputs = -(-room // stride) + 1
        else:
            outputs = room // stride + 1
        if any(self.pad) and (outputs - 1) * stride >= size + pad:
            outputs -= 1
        return outputs

    # ----------------------------------------------------------------- running

    def _planes(self, array: Array) -> Array:
        N, C, H, W = array.shape
        return array.reshape(N * C, H, W)

    @fills_tops
    @by_kernels(when=lambda layer: layer.pool != PoolingParameter.STOCHASTIC and not layer.gives_indices)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self._planes(bottom[0].data), self._planes(top[0].data)
        # A gradient needs the indices. In TEST it is rarely asked for, and finds them by itself.
        self.indexed = self.phase == caffe_pb2.TRAIN or self.gives_indices
        if self.pool == PoolingParameter.MAX:
            pooling.max_forward(x, self.window, y, self.index.data if self.indexed else None)
            if self.gives_indices:
                top[1].data[...] = self.index.data.reshape(top[1].shape)
        elif self.pool == PoolingParameter.AVE:
            pooling.mean_forward(x, self.window, y)
        elif self.phase == caffe_pb2.TRAIN:
            draws = random.stream().uniform(y.size, 0, 1).astype(y.dtype, copy=False).reshape(y.shape)
            pooling.sample_forward(x, self.window, draws, y, self.index.data)
        else:
            pooling.weighted_forward(x, self.window, y)

    @by_kernels(when=lambda layer: layer.pool != PoolingParameter.STOCHASTIC)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._backward(top, propagate_down, bottom)

    def _mean_backward(self, dy: Array, dx: Array) -> None:
        """Computes dx of means from another dy than the top's."""
        pooling.mean_backward(self._planes(dy), self.window, self._planes(dx))

    def _backward(
        self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs, slope: float | None = None
    ) -> None:
        if not propagate_down[0]:
            return
        x, dx, dy = (self._planes(a) for a in (bottom[0].data, bottom[0].diff, top[0].diff))
        end = (None, 1.0) if slope is None else (x, slope)
        if self.pool == PoolingParameter.AVE:
            pooling.mean_backward(dy, self.window, dx, *end)
        elif self.pool == PoolingParameter.STOCHASTIC and self.phase == caffe_pb2.TEST:
            pooling.weighted_backward(x, dy, self.window, dx)
        else:
            if self.pool == PoolingParameter.MAX and not self.indexed:
                pooling.max_forward(x, self.window, np.empty_like(dy), self.index.data)
            pooling.index_backward(dy, self.index.data, self.window, dx, *end)

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    def takes_slope_back(self) -> bool:
        return self.pool != PoolingParameter.STOCHASTIC

    @by_kernels(when=takes_slope_back)
    def backward_with_slope(
        self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs, slope: float
    ) -> None:
        self._backward(top, propagate_down, bottom, slope)

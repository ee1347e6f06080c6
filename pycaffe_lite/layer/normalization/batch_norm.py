"""BatchNorm: values are standardised by the mean and the variance of their channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import channels
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.fusing import IsEpilogue
from pycaffe_lite.layer.normalization.standardize import Moments, Standardizer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("BatchNorm", param="batch_norm_param")
class BatchNormLayer(NeuronLayer[caffe_pb2.BatchNormParameter], IsEpilogue):
    """Batch normalisation: y = (x - μ) / sqrt(v + eps), with μ and v per channel; Scale does the affine part.

    With `use_global_stats` (the default in TEST) the layer uses stored statistics, μ = mean / factor and
    v = variance / factor, or 0 if factor is 0; and dx = dy / sqrt(v + eps).
    Without it, μ and v are the mean and the biased variance of the batch, over all axes but 1, and
    dx = (dy - mean(dy) - mean(dy y) y) / sqrt(v + eps). Each such forward also updates the stored sums, with
    λ = moving_average_fraction and m values per channel:
    mean ← λ mean + μ, variance ← λ variance + v m / (m - 1), factor ← λ factor + 1.

    Bottom: x, (N, C, ...). Top: y, the shape of x; may be the same blob.
    Blobs: mean, (C,); variance, (C,); factor, (1,): sums, not averages. No solver updates them: lr_mult is 0.
    Raises LayerError for fewer than 2 axes, for another C than at setup, for an lr_mult other than 0, and for
    batch statistics of no values.
    Paper: Ioffe, Szegedy, "Batch Normalization", 2015 (arXiv 1502.03167).
    Source: BVLC/caffe src/caffe/layers/batch_norm_layer.cpp
    """

    divisor_blobs = (1, 2)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) < 2:
            raise self.error(f"needs a bottom of at least 2 axes, got bottom shape {shape}")
        self.C = shape[1]
        self.mean, self.variance = self.add_blob((self.C,)), self.add_blob((self.C,))
        self.factor = self.add_blob((1,))
        specs = self.layer_param.param
        for i in range(len(self.blobs)):
            if i == len(specs):
                specs.add().lr_mult = 0
            elif specs[i].lr_mult != 0:
                raise self.error(
                    f"needs lr_mult 0 for blob {i}: statistics are not learnt, got {specs[i].lr_mult:g}"
                )
        p = self.param
        given = p.HasField("use_global_stats")
        self.use_global_stats = p.use_global_stats if given else self.phase == caffe_pb2.TEST
        self.standardizer = Standardizer(self.add_buffer())

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        shape = bottom[0].shape
        if shape[1:2] != (self.C,):
            raise self.error(f"needs {self.C} channels on axis 1, got bottom shape {shape}")
        if not self.use_global_stats and bottom[0].count == 0:
            raise self.error(f"cannot take the mean of no values, got bottom shape {shape}")
        self.shape = shape[0], self.C, bottom[0].count_axes(2)

    def _folded(self, array: Array) -> Array:
        return array.reshape(self.shape)

    def _stored_statistics(self) -> tuple[Moments, Moments]:
        scale = self._averaging()
        return scale * self.mean.data.astype(np.float64), scale * self.variance.data.astype(np.float64)

    def _averaging(self) -> float:
        """The factor that turns the stored sums into averages; 0 as long as there are none."""
        factor = float(self.factor.data[0])
        return 1 / factor if factor else 0.0

    def _batch_statistics(self, x: Array) -> tuple[Moments, Moments]:
        """Returns the mean and the variance of x, and adds them to the stored sums."""
        mean, variance = self.standardizer.moments(x)
        count = x.shape[0] * x.shape[2]
        unbiased = variance * count / (count - 1) if count > 1 else variance
        fraction = self.param.moving_average_fraction
        for blob, value in ((self.mean, mean), (self.variance, unbiased), (self.factor, 1)):
            blob.data[...] = fraction * blob.data + value
        return mean, variance

    def _inverse_root(self, variance: Moments) -> Moments:
        with np.errstate(divide="ignore", invalid="ignore"):  # stored variances below -eps give NaN
            root: Moments = 1 / np.sqrt(variance + self.param.eps)
        return root

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self._folded(bottom[0].data), self._folded(top[0].data)
        mean, variance = self._stored_statistics() if self.use_global_stats else self._batch_statistics(x)
        scale = self._inverse_root(variance)
        keep = top[0] is bottom[0] and self.need_backward and not self.use_global_stats
        self.standardizer.forward(x, mean, scale, y, keep=keep)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dy, dx = self._folded(top[0].diff), self._folded(bottom[0].diff)
        if self.use_global_stats:
            self.standardizer.backward_fixed(dy, dx)
        else:
            self.standardizer.backward(dy, dx)

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    def can_be_epilogue(self, top: Blobs) -> bool:
        return self.use_global_stats

    @by_kernels
    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        scale, shift = channels.standardizing_affine(
            self.mean.data,
            self.variance.data,
            self.factor.data,
            self.param.eps,
            epilogue.scale,
            epilogue.shift,
        )
        return Epilogue(scale, shift, epilogue.slope)

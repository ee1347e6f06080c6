"""Bias: a learnt or computed summand, repeated over the other axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.activation.broadcast import covered_shape, fold, lies_over_channels
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import IsEpilogue
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Bias", param="bias_param")
class BiasLayer(Layer[caffe_pb2.BiasParameter], IsEpilogue):
    """Sum y = x + b, with b repeated over the axes that it lacks.

    dx = dy; db = Σ dy over those axes: added to the diff of a learnt b, written to that of a second bottom.

    Bottom: x, any shape; optionally b, whose axes have the lengths of x's axes from `axis` on.
    Top: y, the shape of x; may be the same blob. Blobs, with one bottom: b, of the shape of the `num_axes`
    axes of x from `axis` on (-1: all that follow; 0: a single number).
    Raises LayerError for an axis or axes that x lacks, and for a b that does not fit.
    Source: BVLC/caffe src/caffe/layers/bias_layer.cpp
    """

    min_bottoms = 1
    max_bottoms = 2
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if len(bottom) == 1:
            self.add_blob(covered_shape(self, bottom[0], p.axis, p.num_axes), p.filler)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.fold = fold(self, bottom[0], (*bottom, *self.blobs)[1], self.param.axis)
        top[0].reshape_like(bottom[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        bias = (*bottom, *self.blobs)[1].data
        self.fold.affine(bottom[0].data, None, bias, top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dy = top[0].diff
        learnt = len(bottom) == 1
        if self.param_propagate_down[0] if learnt else propagate_down[1]:
            total, _ = self.fold.sums(dy)
            blob = self.blobs[0] if learnt else bottom[1]
            blob.diff[...] = total.reshape(blob.shape) + (blob.diff if learnt else 0)
        if propagate_down[0] and top[0] is not bottom[0]:
            np.copyto(bottom[0].diff, dy)

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    def can_be_epilogue(self, top: Blobs) -> bool:
        return lies_over_channels(self, top[0], self.param.axis)

    @by_kernels
    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        return epilogue.behind(None, self.blobs[0].data)

"""Dropout: random values are set to zero while training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.kernels import dropout, eltwise
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.fusing import IsEpilogue
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("Dropout", param="dropout_param")
class DropoutLayer(NeuronLayer[caffe_pb2.DropoutParameter], IsEpilogue):
    """Sets values to 0 with probability r = dropout_ratio and scales the others: y = x m s, dx = dy m s.

    In TRAIN every forward draws a new m from the main random stream, 1 with probability 1 - r, else 0; and
    s = 1 / (1 - r). In TEST y = x.

    With happynear's `sqrt_scale: true`, s is the root of that. With R-FCN's `scale_train: false`, s is 1 in
    TRAIN, and in TEST y = (1 - r) x. With SegNet's `sample_weights_test: true`, TEST is as TRAIN.

    Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
    Raises LayerError for a ratio that is below 0, or 1 and more, where it is read.
    Paper: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15,
    2014.
    Source: BVLC/caffe src/caffe/layers/dropout_layer.cpp
    """

    serves_backward = True  # it is an epilogue in TEST only, when forward keeps nothing

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        ratio = self.param.dropout_ratio
        self.training = self.phase == caffe_pb2.TRAIN or self.param.sample_weights_test
        if (self.training or not self.param.scale_train) and not 0 <= ratio < 1:
            raise self.error(f"needs a dropout_ratio from 0 to below 1, got {ratio:g}")
        self.keep = 1.0 - ratio  # the ratio is float32, the difference float64
        if self.param.scale_train:
            self.scale = 1 / self.keep if self.training else 1.0
            if self.param.sqrt_scale:
                self.scale = math.sqrt(self.scale)
        else:
            self.scale = 1.0 if self.training else self.keep
        self.is_identity = not self.training and self.scale == 1
        self.does_nothing = self.is_identity and top[0] is bottom[0]
        self.mask = self.add_buffer(np.uint8)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if self.training:
            self.mask.reshape((bottom[0].count,))

    @by_kernels(when=lambda layer: not layer.training and (layer.does_nothing or not layer.is_identity))
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data, top[0].data
        if self.training:
            random.stream().bernoulli(x.size, self.keep, np.float64, out=self.mask.data.view(np.uint8))
            dropout.apply(x.ravel(), self.mask.data, self.scale, y.ravel())
        elif not self.is_identity:
            eltwise.scale(x.ravel(), self.scale, y.ravel())
        elif top[0] is not bottom[0]:
            np.copyto(y, x)

    @by_kernels(when=lambda layer: layer.training or layer.does_nothing or not layer.is_identity)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dy, dx = top[0].diff, bottom[0].diff
        if self.training:
            dropout.apply(dy.ravel(), self.mask.data, self.scale, dx.ravel())
        elif not self.is_identity:
            eltwise.scale(dy.ravel(), self.scale, dx.ravel())
        elif top[0] is not bottom[0]:
            np.copyto(dx, dy)

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    def can_be_epilogue(self, top: Blobs) -> bool:
        return self.is_identity and len(top[0].shape) > 1

    @by_kernels
    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        return epilogue

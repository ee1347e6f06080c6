"""ScaleFilter: channels times random factors while training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ScaleFilter", param="scale_filter_param", origin="OpenVINO")
class ScaleFilterLayer(NeuronLayer[caffe_pb2.ScaleFilterParameter]):
    """Each channel of each image times a factor, drawn from min_scale to max_scale; dx = dy times it.

    In TRAIN every forward draws anew from the main random stream. In TEST y = x.

    Bottom: x, (N, C, H, W). Top: y, the shape of x; may be the same blob. Raises LayerError for a bottom of
    other than 4 axes, and unless 0 < min_scale < max_scale.
    Source: openvinotoolkit/training_toolbox_caffe caffe/src/caffe/layers/scale_filter_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if len(bottom[0].shape) != 4:
            raise self.error(f"needs a bottom of 4 axes, got shape {bottom[0].shape}")
        if not 0 < p.min_scale < p.max_scale < np.inf:
            raise self.error(
                f"needs min_scale above 0 and max_scale above that, got {p.min_scale:g} and {p.max_scale:g}"
            )
        self.factors: Array = np.ones((1, 1, 1, 1))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0], top[0].data
        if self.phase != caffe_pb2.TRAIN:
            np.copyto(y, x.data)
            return
        draws = random.stream().uniform(x.num * x.channels, self.param.min_scale, self.param.max_scale)
        self.factors = draws.astype(y.dtype, copy=False).reshape(x.num, x.channels, 1, 1)
        np.multiply(x.data, self.factors, out=y)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        if self.phase == caffe_pb2.TRAIN:
            np.multiply(top[0].diff, self.factors, out=bottom[0].diff, casting="same_kind")
        else:
            np.copyto(bottom[0].diff, top[0].diff)

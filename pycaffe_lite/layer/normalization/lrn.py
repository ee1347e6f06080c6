"""LRN: local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import lrn
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

WITHIN_CHANNEL = caffe_pb2.LRNParameter.WITHIN_CHANNEL


@register_layer("LRN", param="lrn_param")
class LRNLayer(NeuronLayer[caffe_pb2.LRNParameter]):
    """Local response normalisation, y = x S^-beta: values are divided by the size of their neighbours.

    With n = local_size, ACROSS_CHANNELS takes S = k + alpha/n Σ x² over the n channels about x's own, and
    WITHIN_CHANNEL takes S = 1 + alpha/n² Σ x² over the n × n square about x in its plane, without `k`.
    Neighbours beyond the edge count as 0. With a = alpha/n or alpha/n² and the same neighbours,
    dx = dy S^-beta - 2 a beta x Σ dy y / S.

    Bottom: x, (N, C, H, W). Top: y, the shape of x; may be the same blob.
    Raises LayerError for a bottom without exactly 4 axes, and for an even local_size.
    Paper: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
    2012, section 3.3.
    Source: BVLC/caffe src/caffe/layers/lrn_layer.cpp
    """

    keeps_input = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)
        p = self.param
        if p.local_size % 2 == 0:
            raise self.error(f"needs an odd local_size, got {p.local_size}")
        self.within = p.norm_region == WITHIN_CHANNEL
        self.scale = p.alpha / (p.local_size**2 if self.within else p.local_size)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4:
            raise self.error(f"needs a bottom of 4 axes, got bottom shape {shape}")
        super().reshape(bottom, top)
        N, C, H, W = shape
        self.W = W
        # Neighbours beyond the edge count as 0, so it does not matter how many of them there are.
        self.half = min(self.param.local_size // 2, max(H, W) if self.within else C)
        self.shape = (N * C, H * W) if self.within else (N, C, H * W)

    @by_kernels(when=lambda layer: not layer.within)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        x = self.keep_input(bottom, top).reshape(self.shape)
        y = top[0].data.reshape(self.shape)
        if self.within:
            lrn.forward_within(x, self.W, self.half, self.scale, p.beta, y)
        else:
            lrn.forward_across(x, self.half, self.scale, p.beta, p.k, y)

    @by_kernels(when=lambda layer: not layer.within)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        p, x = self.param, self.seen_input(bottom).reshape(self.shape)
        dy, dx = top[0].diff.reshape(self.shape), bottom[0].diff.reshape(self.shape)
        if self.within:
            lrn.backward_within(x, dy, self.W, self.half, self.scale, p.beta, dx)
        else:
            lrn.backward_across(x, dy, self.half, self.scale, p.beta, p.k, dx)

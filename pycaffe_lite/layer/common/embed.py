"""Embed: a learnt vector for each index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import inner_product, rows
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("Embed", param="embed_param")
class EmbedLayer(Layer[caffe_pb2.EmbedParameter]):
    """A learnt vector for each index: y[m] = w[x[m]] + b.

    This is the inner product of w with a vector that is 1 at place x[m] and 0 elsewhere.
    dw[j] += the sum of dy[m] over all m with x[m] = j; db += the sum of dy[m] over all m.

    Bottom: x, any shape, numbers from 0 up to input_dim, their fractions cut off. Top: y, the shape of x
    followed by num_output. Blobs: w, (input_dim, num_output); b, (num_output,), unless bias_term is false.
    Raises LayerError if num_output or input_dim is 0, for an index out of range, in place, and if a gradient
    of x is asked for.
    Source: BVLC/caffe src/caffe/layers/embed_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        for size in ("num_output", "input_dim"):
            if getattr(p, size) < 1:
                raise self.error(f"needs embed_param {{ {size}: ... }} of 1 or more, got {getattr(p, size)}")
        self.weight = self.add_blob((p.input_dim, p.num_output), p.weight_filler)
        self.bias = self.add_blob((p.num_output,), p.bias_filler) if p.bias_term else None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape((*bottom[0].shape, self.param.num_output))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = bottom[0].data.ravel(), top[0].data
        right = (x > -1) & (x < self.param.input_dim)
        if not right.all():
            raise self.error(f"needs indices from 0 to {self.param.input_dim - 1}, got {x[~right][0]:g}")
        self.index = x.astype(np.int64)
        np.take(
            self.weight.data, self.index, axis=0, out=y.reshape(x.size, self.param.num_output), mode="clip"
        )
        if self.bias is not None:
            y += self.bias.data

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            raise self.error("has no gradient to propagate down to its bottom, which holds indices")
        dy = top[0].diff.reshape(-1, self.param.num_output)
        if self.param_propagate_down[0]:
            rows.add(dy, self.index, self.weight.diff)
        if self.bias is not None and self.param_propagate_down[1]:
            inner_product.backward_bias(dy, self.bias.diff)

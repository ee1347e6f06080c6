"""LabelSpecificAdd: AM-Softmax's margin, taken off the score of the label."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.loss.labels import LabelReader
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)
_ITERATION = struct.Struct("<q")


@register_layer("LabelSpecificAdd", param="label_specific_add_param", origin="happynear's Caffe and OpenVINO")
class LabelSpecificAddLayer(Layer[caffe_pb2.LabelSpecificAddParameter]):
    """A bias for the label's score, in TRAIN: y[n, label] = x + bias where x > -bias; else y = x. dx = dy.

    With `bias_base`, the bias of iteration t is bias_base + (1 + bias_gamma t)^bias_power - 1, within
    bias_min and bias_max; t is `iteration` and one more for each pass. A bias above 0 without bias_base is
    taken off, as in OpenVINO's fork, whose nets write it so; the log says this.

    Bottom: x, (N, ...), scores; labels, (N,). Top: y, the shape of x; may be the first bottom; optionally the
    bias, (1,). Raises LayerError for another number of labels, and a label out of range.
    Paper: Wang et al., "Additive Margin Softmax for Face Verification", 2018 (arXiv 1801.05599).
    Source: happynear/caffe-windows src/caffe/layers/label_specific_add.cpp;
    openvinotoolkit/training_toolbox_caffe caffe/src/caffe/layers/label_specific_add.cpp
    """

    exact_bottoms = 2
    min_tops, max_tops = 1, 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def allow_top_gradient(self, top_index: int) -> bool:
        return top_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.iteration = p.iteration
        self.bias = -abs(p.bias)
        if p.bias > 0 and not p.HasField("bias_base"):
            log.info(
                "%s: bias %g is taken off the label's score, as in OpenVINO's fork", self.where(), p.bias
            )
        note_without_effect(self, "transform_test")
        self.labels = LabelReader(self, None, can_ignore=False)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, labels = bottom
        if labels.count != x.shape[0]:
            raise self.error(f"needs {x.shape[0]} labels for scores {x.shape}, got shape {labels.shape}")
        top[0].reshape_like(x)
        if len(top) > 1:
            top[1].reshape(1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, x, y = self.param, bottom[0], top[0].data
        if top[0] is not x:
            np.copyto(y, x.data)
        if self.phase != caffe_pb2.TRAIN:
            return
        if p.HasField("bias_base"):
            grown = (1 + p.bias_gamma * self.iteration) ** p.bias_power
            self.bias = min(max(p.bias_base + grown - 1, p.bias_min), p.bias_max)
            self.iteration += 1
        if len(top) > 1:
            top[1].data[...] = self.bias
        rows = y.reshape(x.num, -1)
        place = np.arange(x.num), self.labels.read(bottom[1], rows.shape[1])
        of_label = rows[place]
        rows[place] = np.where(of_label > -self.bias, of_label + y.dtype.type(self.bias), of_label)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0] and top[0] is not bottom[0]:
            np.copyto(bottom[0].diff, top[0].diff)

    def state(self) -> bytes:
        """The number of passes so far, upon which the bias depends."""
        return _ITERATION.pack(self.iteration)

    def set_state(self, state: bytes) -> str:
        if len(state) != _ITERATION.size:
            return "its iteration starts afresh: the one saved is of another layer"
        (self.iteration,) = _ITERATION.unpack(state)
        return ""

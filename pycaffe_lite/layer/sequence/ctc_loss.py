"""CtcLoss: learning to read without knowing where each letter stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import ctc
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.sequence.labels import labels_without_blanks
from pycaffe_lite.proto import caffe_pb2


@register_layer("CtcLoss", param="ctc_loss_param", origin="warp-ctc")
class CtcLossLayer(LossLayer[caffe_pb2.CtcLossParameter]):
    """Connectionist temporal classification: loss = -1/N Σ ln p(labels), over all alignments with the steps.

    A step says a symbol or blank; repeated symbols count once unless a blank stands between them.
    dx[t, n] = w (softmax(x[t, n]) - how often each symbol is expected there, given the labels); unlike the
    loss it is not divided by N, in the fork either.

    Bottom: x, (T, N, C), before the softmax; labels, (N, L): symbols, with blanks anywhere, which are passed
    over. Top: the loss, (). Labels that cannot fit into T steps count 0.
    Raises LayerError where time_step or alphabet_size is not that of x, for no sequences at all, and for a
    label or a blank_label that is no symbol.
    Paper: Graves et al., "Connectionist Temporal Classification", 2006.
    Source: xmfbit/warpctc-caffe src/caffe/layers/ctc_loss_layer.cpp, baidu-research/warp-ctc
    include/detail/cpu_ctc.h
    """

    also_reads = ()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, (x, labels) = self.param, bottom
        if len(x.shape) < 3 or x.count_axes(3) != 1:
            raise self.error(f"needs scores of shape (T, N, C), got {x.shape}")
        if x.count == 0:
            raise self.error(f"cannot take the mean of no sequences, got shape {x.shape}")
        self.shape = x.shape[:3]
        for name, own in (("time_step", x.shape[0]), ("alphabet_size", x.shape[2])):
            if p.HasField(name) and getattr(p, name) != own:
                raise self.error(f"needs {name} {getattr(p, name)} of its scores (T, N, C), got {x.shape}")
        if not 0 <= p.blank_label < x.shape[2]:
            raise self.error(f"needs blank_label from 0 to {x.shape[2] - 1}, got {p.blank_label}")
        if labels.shape[:1] != (self.shape[1],):
            raise self.error(f"needs labels of {self.shape[1]} sequences, got shape {labels.shape}")
        top[0].reshape(())

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        T, N, C = self.shape
        x = bottom[0].data.reshape(self.shape).astype(np.float64)
        with np.errstate(invalid="ignore"):  # of infinite scores: NaN
            x -= x.max(axis=2, keepdims=True)
        log_p = x - np.log(np.exp(x).sum(axis=2, keepdims=True))
        labels, lengths = labels_without_blanks(self, bottom[1], self.param.blank_label, C)
        losses, expected = np.empty(N), np.empty((T, N, C))
        ctc.loss(log_p, labels, lengths, self.param.blank_label, losses, expected)
        fits = expected.sum(axis=(0, 2)) > 0
        self.gradient = (np.exp(log_p) - expected) * fits[:, None]
        top[0].data[...] = losses.mean()

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its labels")
        if propagate_down[0]:
            dx = bottom[0].diff.reshape(self.shape)
            np.multiply(float(top[0].diff[()]), self.gradient, out=dx, casting="same_kind")

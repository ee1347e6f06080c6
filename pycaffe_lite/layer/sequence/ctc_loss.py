"""CtcLoss and CTCLoss: learning to read without knowing where each letter stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import ctc
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.sequence.labels import labels_without_blanks
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2


def log_softmax(x: Array) -> Array:
    """The logarithms of the softmax over the last axis, in float64."""
    x = x.astype(np.float64)
    with np.errstate(invalid="ignore"):  # of infinite scores: NaN
        x -= x.max(axis=-1, keepdims=True)
    result: Array = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return result


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

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        refuse_fields(
            self, "blank_index", "preprocess_collapse_repeated", "ctc_merge_repeated", "output_delay",
            "loss_calculation_t",
        )  # fmt: skip

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
        log_p = log_softmax(bottom[0].data.reshape(self.shape))
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


@register_layer("CTCLoss", param="ctc_loss_param", origin="ChWick's Caffe")
class SequenceCTCLossLayer(LossLayer[caffe_pb2.CtcLossParameter]):
    """Connectionist temporal classification of sequences of any length: loss = -1/N Σ ln p(labels).

    As CtcLoss, with the length of each sequence from its indicators. dx = softmax(x) - how often each symbol
    is expected, whatever the loss weight, and not divided by N, in the fork either.

    Bottom: x, (T, N, C), before the softmax; indicators, (T, N), of which a 0 after the first step ends a
    sequence; labels, (L, N), up to the first below 0. Top: the loss, ().
    Raises LayerError for shapes that do not fit, a blank_index or a label that is no symbol, labels that do
    not fit into their steps, and for output_delay and `ctc_merge_repeated: false`, which are not supported.
    Source: ChWick/caffe, branch ctc, src/caffe/layers/ctc_loss_layer.cpp
    """

    exact_bottoms = 3
    also_reads = ()

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        refuse_fields(self, "alphabet_size", "time_step", "blank_label")
        note_without_effect(self, "loss_calculation_t")
        if self.param.output_delay or not self.param.ctc_merge_repeated:
            raise self.error("supports neither output_delay nor ctc_merge_repeated: false")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, indicators, labels = bottom
        if len(x.shape) < 3 or x.count_axes(3) != 1 or x.count == 0:
            raise self.error(f"needs scores of shape (T, N, C), got {x.shape}")
        self.shape = T, N, C = x.shape[:3]
        if indicators.count != T * N or indicators.shape[:2] != (T, N):
            raise self.error(f"needs indicators of shape {(T, N)}, got {indicators.shape}")
        if len(labels.shape) < 2 or labels.shape[1] != N or labels.count_axes(2) != 1:
            raise self.error(f"needs labels of {N} sequences, (L, N), got {labels.shape}")
        blank = self.param.blank_index
        self.blank = blank if blank >= 0 else C - 1
        if self.blank >= C:
            raise self.error(f"needs a blank_index below {C}, got {blank}")
        top[0].reshape(())

    def _labels(self, given: Array) -> list[int]:
        """Those of one sequence, up to the first below 0, rounded."""
        ends = np.flatnonzero(given < 0)
        symbols = np.floor(given[: ends[0] if len(ends) else len(given)] + 0.5)
        if self.param.preprocess_collapse_repeated and len(symbols):
            symbols = symbols[np.concatenate([[True], symbols[1:] != symbols[:-1]])]
        wrong = ~((symbols < self.shape[2]) & (symbols != self.blank))
        if wrong.any():
            got = symbols[wrong][0]
            raise self.error(f"label {got:g} is no symbol: 0 to {self.shape[2] - 1}, but not the blank")
        return [int(symbol) for symbol in symbols]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        T, N, C = self.shape
        log_p = log_softmax(bottom[0].data.reshape(self.shape))
        ends = bottom[1].data.reshape(T, N)[1:] < 0.5
        labels = bottom[2].data.reshape(-1, N)
        losses, self.gradient = np.zeros(N), np.zeros((T, N, C))
        for n in range(N):
            length = 1 + int(np.argmax(ends[:, n])) if ends[:, n].any() else T
            own = self._labels(labels[:, n])
            own_p = np.ascontiguousarray(log_p[:length, n : n + 1])
            expected = np.empty_like(own_p)
            symbols = np.array([own or [0]], np.int64)
            ctc.loss(own_p, symbols, np.array([len(own)]), self.blank, losses[n : n + 1], expected)
            if expected.sum() == 0:
                raise self.error(f"sequence {n} has {len(own)} labels, which do not fit into {length} steps")
            self.gradient[:length, n] = (np.exp(own_p) - expected)[:, 0]
        top[0].data[...] = losses.mean()

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down[1:]):
            raise self.error("has a gradient for its scores only")
        if propagate_down[0]:
            bottom[0].diff.reshape(self.shape)[...] = self.gradient

"""CTCGreedyDecoder: the symbols that a row of scores says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("CTCGreedyDecoder", param="ctc_decoder_param", origin="OpenVINO")
class CTCGreedyDecoderLayer(Layer[caffe_pb2.CTCDecoderParameter]):
    """The symbols of each sequence, by the highest scores of its steps, the first of equal ones; then -1.

    Blanks are left out, and with `ctc_merge_repeated` symbols that repeat without a blank between them.

    Bottom: scores, (T, N, C); indicators, (T, N), of which a 0 after the first step ends a sequence;
    optionally the right symbols, (T', N), up to the first below 0. Top: symbols, (N, T, 1, 1); optionally
    minus the sum of the highest scores, (N, 1, 1, 1); and, with three bottoms, as the last top, the share of
    sequences that begin with the right symbols, (1, 1, 1, 1). There is no gradient.
    Raises LayerError for shapes that do not fit, tops that it cannot give, and a blank_index that is no
    symbol.
    Source: openvinotoolkit/training_toolbox_caffe src/caffe/layers/ctc_decoder_layer.cpp (ChWick/caffe,
    branch ctc, has the steps first in its top, and the mean edit distance for the share)
    """

    min_bottoms, max_bottoms = 2, 3
    min_tops, max_tops = 1, 3

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def allow_top_gradient(self, top_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if len(top) > len(bottom):
            raise self.error(f"takes the right symbols as a third bottom for {len(top)} tops")
        self.gives_share = len(bottom) == 3 and len(top) > 1
        self.gives_scores = len(top) > 1 + self.gives_share

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, indicators = bottom[:2]
        if len(x.shape) < 3 or x.count_axes(3) != 1 or x.count == 0:
            raise self.error(f"needs scores of shape (T, N, C), got {x.shape}")
        self.T, self.N, self.C = x.shape[:3]
        if indicators.shape[:2] != (self.T, self.N) or indicators.count_axes(2) != 1:
            raise self.error(f"needs sequence indicators of shape {(self.T, self.N)}, got {indicators.shape}")
        if len(bottom) > 2 and (len(bottom[2].shape) < 2 or bottom[2].shape[1] != self.N):
            raise self.error(f"needs right symbols of {self.N} sequences, (T, N), got {bottom[2].shape}")
        blank = self.param.blank_index
        self.blank = blank if blank >= 0 else self.C - 1
        if self.blank >= self.C:
            raise self.error(f"needs a blank_index below {self.C}, got {blank}")
        top[0].reshape(self.N, self.T, 1, 1)
        if self.gives_scores:
            top[1].reshape(self.N, 1, 1, 1)
        if self.gives_share:
            top[-1].reshape(1, 1, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data.reshape(self.T, self.N, self.C)
        goes_on = bottom[1].data.reshape(self.T, self.N) != 0
        best = x.argmax(axis=2)
        is_new = best != self.blank
        if self.param.ctc_merge_repeated:
            is_new[1:] &= best[1:] != best[:-1]
        goes_on[0] = True
        counts = np.logical_and.accumulate(goes_on, axis=0)
        said = [best[is_new[:, n] & counts[:, n], n] for n in range(self.N)]
        rows = top[0].data.reshape(self.N, self.T)
        rows.fill(-1)
        for row, symbols in zip(rows, said, strict=True):
            row[: len(symbols)] = symbols
        if self.gives_scores:
            top[1].data.ravel()[...] = -np.where(counts, x.max(axis=2), 0).sum(axis=0)
        if self.gives_share:
            targets = bottom[2].data.reshape(bottom[2].shape[0], self.N)
            right = [self._begins(row, target) for row, target in zip(rows, targets.T, strict=True)]
            top[-1].data[...] = np.mean(right)

    @staticmethod
    def _begins(row: np.ndarray, target: np.ndarray) -> bool:
        """Whether a row begins with the right symbols, those up to the first below 0, rounded."""
        ends = np.flatnonzero(target < 0)
        wanted = np.floor(target[: ends[0] if len(ends) else len(target)] + 0.5)
        return len(wanted) <= len(row) and np.array_equal(row[: len(wanted)], wanted)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")

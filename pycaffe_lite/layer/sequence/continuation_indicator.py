"""ContinuationIndicator: where the sequences of a batch begin, for recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ContinuationIndicator", param="continuation_indicator_param", origin="warp-ctc")
class ContinuationIndicatorLayer(Layer[caffe_pb2.ContinuationIndicatorParameter]):
    """The second bottom of an LSTM whose sequences all begin at the first step: 0 there, 1 afterwards.

    Bottom: none, or x, whose length along `axis` is the number of sequences. Top: (T, B) with `time_step` T
    and `batch_size` B, or the bottom's.
    Raises LayerError where T or B is not given.
    Source: xmfbit/warpctc-caffe src/caffe/layers/continuation_indicator_layer.cpp, and jolibrain/caffe for
    the bottom
    """

    max_bottoms = 1
    exact_tops = 1

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        steps, sequences = self.param.time_step, self.param.batch_size
        if bottom:
            sequences = bottom[0].shape[bottom[0].canonical_axis(self.param.axis)]
        if not steps or not sequences:
            raise self.error(f"needs time_step and batch_size of 1 or more, got {steps} and {sequences}")
        top[0].reshape((steps, sequences))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        top[0].data[0] = 0
        top[0].data[1:] = 1

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            bottom[0].diff.fill(0)

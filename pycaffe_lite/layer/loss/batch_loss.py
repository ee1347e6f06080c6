"""The base of losses that are means over the batch, whatever `loss_param` says."""

from __future__ import annotations

from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.loss.loss import LossLayer


class BatchLossLayer(LossLayer[P]):
    """A loss that is a sum over the records of the batch, divided by their number N.

    `loss_param` has no effect on these types; it has none in Caffe, either.
    Raises LayerError for a batch without records, and for bottoms of more than 4 axes.
    """

    also_reads = ()

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        super().reshape(bottom, top)
        if bottom[0].count == 0:
            raise self.error(f"cannot take the mean of no records, got bottom shape {bottom[0].shape}")
        self.N = bottom[0].num

"""BoxAnnotatorOHEM: online hard example mining for regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import sorting
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("BoxAnnotatorOHEM", param="box_annotator_ohem_param", origin="R-FCN")
class BoxAnnotatorOHEMLayer(Layer[caffe_pb2.BoxAnnotatorOHEMParameter]):
    """Labels and weights of the `roi_per_img` regions of each image with the highest loss; no others count.

    Bottom: regions, (R, 5, ...); their losses, (R, ...); labels, (R, ...); weights of offsets, (R, K, ...).
    Top: labels, with `ignore_label` for the regions that do not count; weights, 0 for these. There is no
    gradient. Raises LayerError for a roi_per_img that is not given, and shapes that do not fit.
    Paper: Shrivastava, Gupta, Girshick, "Training Region-based Object Detectors with OHEM", 2016.
    Source: daijifeng001/caffe-rfcn src/caffe/layers/box_annotator_ohem_layer.cpp
    """

    exact_bottoms = 4
    exact_tops = 2

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.roi_per_img < 1:
            raise self.error("needs box_annotator_ohem_param { roi_per_img: ... } of 1 or more")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.R = bottom[0].num
        sizes = [blob.count for blob in bottom[:3]]
        if sizes != [self.R * 5, self.R, self.R] or bottom[3].num != self.R:
            shapes = ", ".join(str(blob.shape) for blob in bottom)
            raise self.error(
                f"needs 5 numbers, a loss, a label and weights for each region, got shapes {shapes}"
            )
        for y, x in zip(top, bottom[2:], strict=True):
            y.reshape_like(x)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        images = bottom[0].data.reshape(self.R, 5)[:, 0]
        counts = np.zeros(self.R, bool)
        hardest = sorting.descending(bottom[1].data.reshape(self.R))
        for image in np.unique(images):
            counts[hardest[images[hardest] == image][: self.param.roi_per_img]] = True
        for y, x, other in zip(top, bottom[2:], (self.param.ignore_label, 0), strict=True):
            y.data[...] = x.data
            y.data[~counts] = other

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")

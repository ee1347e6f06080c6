"""DetectionEvaluate in the form of Cascade R-CNN."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.detection.box_code import check_rows, overlaps
from pycaffe_lite.layer.detection.detection_evaluate import DetectionEvaluateLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

# Columns of the bottoms in SSD's order: image, class, score, box; image, class, instance, box, difficult.
FOUND, TRUTH = [0, 5, 6, 1, 2, 3, 4], [0, 5, 6, 1, 2, 3, 4, 7]


def _has_sizes(layer: caffe_pb2.LayerParameter) -> bool:
    return len(layer.bottom) == 3


@register_layer(
    "DetectionEvaluate", param="detection_evaluate_param", origin="Cascade R-CNN", applies=_has_sizes
)
class FrcnnEvaluateLayer(DetectionEvaluateLayer):
    """Each detection of FrcnnOutput a true or a false positive, as SSD's layer of this name says it.

    Overlaps are those in pixels of the picture, whose size is the next line of the `name_size_file` for each
    image that has a row of detections.

    Bottom: detections, (M, 7): image, x1, y1, x2, y2, class, score, those of class -1 standing for none;
    ground truth, (G, 8): image or -1, x1, y1, x2, y2, class, ignored, difficult; the pictures' heights and
    widths in the net, (N, 2). Top: rows of SSD's form, (R, 5, 1, 1). There is no gradient. Raises LayerError
    for shapes that do not fit, class 0, and no name_size_file; one that is not there stops the first pass.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_evaluate_layer.cpp
    """

    exact_bottoms = 3

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if not self.sizes and not self.missing:
            raise self.error("needs a name_size_file with lines NAME HEIGHT WIDTH")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob, columns in zip(bottom, (7, 8, 2), strict=True):
            check_rows(self, [blob], (columns,))
        if top[0].count == 0:
            found = bottom[0].data.reshape(-1, 7)[:, FOUND]
            rows = self.param.num_classes - 1 + int((found[:, 1] != -1).sum())
            top[0].reshape(rows, 5, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self.missing:
            raise self.error(self.missing)
        found = bottom[0].data.reshape(-1, 7)[:, FOUND]
        truth = bottom[1].data.reshape(-1, 8)[:, TRUTH]
        found, truth = found[found[:, 0] != -1], truth[truth[:, 0] != -1]
        if (found[:, 1] == 0).any() or (truth[:, 1] <= 0).any():
            raise self.error("needs classes from 1 on in detections and ground truth")
        sizes = bottom[2].data.reshape(-1, 2)
        rows = list(self.counts(truth))
        for image in np.unique(found[:, 0]):
            if not 0 <= image < len(sizes):
                raise self.error(f"needs detections of images 0 to {len(sizes) - 1}, got image {image:g}")
            scale = np.array(self.sizes[self.seen % len(self.sizes)]) / sizes[int(image)]
            self.seen += 1
            own = found[(found[:, 0] == image) & (found[:, 1] != -1)]
            boxes = truth[truth[:, 0] == image]
            for values in (own, boxes):
                values[:, 3:7] *= scale[[1, 0, 1, 0]].astype(values.dtype)
            rows += self.judged_image(own, boxes, None)
        top[0].reshape(len(rows), 5, 1, 1)
        top[0].data[:, :, 0, 0] = rows

    def overlaps(self, found: Array, truth: Array, size: tuple[int, int] | None) -> Array:
        return overlaps(found, truth, by_sizes=False)

"""DetectionOutput: the objects that a detector has found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels import boxes, sorting
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.detection.priors import check_predictions, priors_of
from pycaffe_lite.layer.detection.save_output import DetectionWriter
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("DetectionOutput", param="detection_output_param", origin="SSD")
class DetectionOutputLayer(Layer[caffe_pb2.DetectionOutputParameter]):
    """Boxes decoded, suppressed class by class where they overlap, and the best of each image kept.

    Of each class but the background those boxes count whose score is above `confidence_threshold`, of these
    the `nms_param.top_k` highest; from the highest down, one stays if it overlaps none that stays by more
    than `nms_threshold`. Then of each image the `keep_top_k` highest stay.

    Bottom: offsets, (N, P L 4), with L = 1 if `share_location`, else the number of classes; scores, (N, P C);
    prior boxes, (1, 2, P 4). With `variance_encoded_in_target` they may come without variances, (1, 1, P 4);
    and with OpenVINO's `normalized: false` as regions in pixels of a picture of `input_width` and
    `input_height`, P rows of 5: image, which does not count, x1, y1, x2, y2. RefineDet gives two more:
    scores, (N, P 2), of there being an object at all, where a second score below `objectness_score` makes a
    prior background; and offsets, (N, P 4), which move the priors first.
    Top: (1, 1, M, 7): image, class, score, xmin, ymin, xmax, ymax, image by image and class by class. Where
    nothing was found there is a row for each image: its number, and -1 six times. There is no gradient.
    Raises LayerError for shapes that do not fit, options that make no sense, and `visualize`.
    Source: weiliu89/caffe src/caffe/layers/detection_output_layer.cpp; sfzhang15/RefineDet for the other
    bottoms; openvinotoolkit/openvino, reference of DetectionOutput, for regions in pixels
    """

    min_bottoms, max_bottoms = 3, 5
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.num_classes < 1:
            raise self.error("needs detection_output_param { num_classes: ... } of 1 or more")
        if p.visualize:
            raise self.error("visualize is not supported: read the detections from the top")
        if p.nms_param.nms_threshold < 0:
            raise self.error(f"needs nms_threshold of 0 or more, got {p.nms_param.nms_threshold:g}")
        if not 0 < p.nms_param.eta <= 1:
            raise self.error(f"needs eta above 0 and up to 1, got {p.nms_param.eta:g}")
        if not p.normalized and (p.input_width < 1 or p.input_height < 1):
            raise self.error(f"needs a picture's size, got {p.input_width}x{p.input_height}")
        self.C = p.num_classes
        self.L = 1 if p.share_location else self.C
        self.least = p.confidence_threshold if p.HasField("confidence_threshold") else -np.finfo("f4").max
        self.writer = (
            DetectionWriter.of(self, p.save_output_param, p.background_label_id)
            if p.HasField("save_output_param")
            else None
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        numbers = 4 if p.normalized else 5
        self.P = check_predictions(
            self, bottom, self.C, self.L, numbers, needs_variances=not p.variance_encoded_in_target
        )
        self.N = bottom[0].num
        for blob, each in zip(bottom[3:], (2, 4), strict=False):
            if blob.count != self.N * self.P * each:
                raise self.error(
                    f"needs {each} values for each of {self.P} prior boxes, got shape {blob.shape}"
                )
        if top[0].count == 0:
            top[0].reshape(1, 1, 1, 7)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        size = None if p.normalized else (p.input_width, p.input_height)
        priors = priors_of(bottom[2], p.code_type, p.variance_encoded_in_target, size)
        if len(bottom) > 4:
            priors = priors.moved(bottom[4].data.reshape(self.N, self.P, 4))
        decoded = priors.decode(bottom[0].data.reshape(self.N, self.P, self.L, 4))
        scores = self._scores(bottom)
        found = [
            self._detections(n, decoded, scores, kept) for n, kept in enumerate(self._kept(decoded, scores))
        ]
        rows = np.concatenate([np.empty((0, 7)), *found])
        if not len(rows):
            rows = np.full((self.N, 7), -1.0)
            rows[:, 0] = np.arange(self.N)
        top[0].reshape(1, 1, len(rows), 7)
        top[0].data[...] = rows
        if self.writer:
            try:
                self.writer.write(found)
            except DataError as error:
                raise self.error(str(error)) from None

    def _scores(self, bottom: Blobs) -> Array:
        """The scores by class: (N, C, P)."""
        scores = bottom[1].data.reshape(self.N, self.P, self.C)
        if len(bottom) > 3:
            is_nothing = bottom[3].data.reshape(self.N, self.P, 2)[..., 1] < self.param.objectness_score
            scores = scores.copy()
            scores[is_nothing] = np.arange(self.C) == 0
        return np.ascontiguousarray(scores.swapaxes(1, 2))

    def _kept(self, decoded: Array, scores: Array) -> list[list[Indices]]:
        """Of each image and class, the indices of the boxes that stay, the highest score first."""
        nms, background = self.param.nms_param, self.param.background_label_id
        most = min(nms.top_k, self.P) if nms.HasField("top_k") and nms.top_k > -1 else self.P
        kept = np.empty((self.N, self.C, most), np.int64)
        counts = np.empty((self.N, self.C), np.int64)
        boxes.suppress(
            decoded, scores, background, float(self.least), most, float(nms.nms_threshold), float(nms.eta),
            kept, counts,
        )  # fmt: skip
        return [[kept[n, c, : counts[n, c]] for c in range(self.C)] for n in range(self.N)]

    def _detections(self, n: int, decoded: Array, scores: Array, kept: list[Indices]) -> Array:
        """The rows of an image."""
        index = np.concatenate(kept)
        classes = np.repeat(np.arange(self.C), [len(of_class) for of_class in kept])
        score = scores[n, classes, index]
        most = self.param.keep_top_k
        if -1 < most < len(index):
            best = sorting.descending(score)[:most]
            best = best[np.argsort(classes[best], kind="stable")]
            index, classes, score = index[best], classes[best], score[best]
        box = decoded[n, index, classes if self.L > 1 else 0]
        return np.column_stack([np.full(len(index), n), classes, score, box])

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")

"""What the layers that work on prior boxes have in common: their bottoms, in the form that kernels take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import boxes
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.ground_truth import Indices


class Priors(NamedTuple):
    """Prior boxes and how offsets from them are read.

    Attributes:
        boxes: (1, P, 4), or (N, P, 4) where those of each image were moved. variances: (P, 4).
        code: how offsets mean boxes; see `kernels.boxes`. encoded: whether the variances are in the offsets.
    """

    boxes: Array
    variances: Array
    code: int
    encoded: bool

    def decode(self, offsets: Array) -> Array:
        """The boxes that offsets, (N, P, L, 4), mean."""
        decoded = np.empty_like(offsets)
        boxes.decode(self.boxes, self.variances, self.code, self.encoded, offsets, decoded)
        return decoded

    def moved(self, offsets: Array) -> Priors:
        """The boxes that offsets, (N, P, 4), move these to, as priors with the same variances."""
        return self._replace(boxes=self.decode(offsets[:, :, None])[:, :, 0])

    def of(self, images: Indices, index: Indices) -> tuple[Array, Array]:
        """The boxes and variances at these places, (count, 4) each.  images, index: (count,)."""
        own = self.boxes[images if len(self.boxes) > 1 else 0, index]
        return own, self.variances[index]


def priors_of(blob: Blob, code: int, encoded: bool) -> Priors:
    """What a bottom of shape (1, 2, 4 P) holds."""
    corners, variances = blob.data.reshape(2, -1, 4)
    return Priors(corners[None], variances, code, encoded)


def check_predictions(layer: Layer[Any], bottom: Blobs, classes: int, loc_classes: int) -> int:
    """The number of prior boxes, to which the predictions of offsets and of classes have to fit.

    Args:
        layer: of whom to speak. bottom: offsets, scores and prior boxes, and what else there is.
        classes: number of them. loc_classes: how many have offsets of their own.

    Raises:
        LayerError: they do not.
    """
    loc, conf, prior = bottom[:3]
    shape = (prior.num, prior.channels, prior.height * prior.width)
    if shape[:2] != (1, 2) or shape[2] % 4:
        raise layer.error(f"needs prior boxes of shape (1, 2, 4 P), got {prior.shape}")
    count = shape[2] // 4
    for blob, values, what in (
        (loc, count * loc_classes * 4, f"4 offsets for each of {count} prior boxes"),
        (conf, count * classes, f"{classes} scores for each of {count} prior boxes"),
    ):
        if blob.count_axes(1) != values:
            each = f" and {loc_classes} classes" if loc_classes > 1 and blob is loc else ""
            raise layer.error(f"needs {what}{each}, {values} values per image, got shape {blob.shape}")
    if loc.num != conf.num:
        raise layer.error(f"needs as many images in both, got shapes {loc.shape} and {conf.shape}")
    return count

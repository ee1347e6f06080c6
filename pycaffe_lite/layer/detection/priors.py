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


def priors_of(blob: Blob, code: int, encoded: bool, size: tuple[int, int] | None = None) -> Priors:
    """What a bottom of shape (1, 2, 4 P) holds, or (1, 1, 4 P), without variances.

    Args:
        blob: the bottom. code, encoded: as in Priors.
        size: the width and height of the picture, if the bottom holds rows of 5 in its pixels.
    """
    data = blob.data.reshape(blob.channels, -1, 4 if size is None else 5)
    corners = np.ascontiguousarray(data[0, :, -4:])
    if size is not None:
        corners /= np.array([*size, *size], corners.dtype)
    variances = np.ascontiguousarray(data[1, :, -4:]) if len(data) > 1 else np.ones_like(corners)
    return Priors(corners[None], variances, code, encoded)


def check_predictions(
    layer: Layer[Any],
    bottom: Blobs,
    classes: int,
    loc_classes: int,
    numbers: int = 4,
    *,
    needs_variances: bool = True,
) -> int:
    """The number of prior boxes, to which the predictions of offsets and of classes have to fit.

    Args:
        layer: of whom to speak. bottom: offsets, scores and prior boxes, and what else there is.
        classes: number of them. loc_classes: how many have offsets of their own.
        numbers: of each prior box. needs_variances: whether prior boxes have to come with theirs.

    Raises:
        LayerError: they do not.
    """
    loc, conf, prior = bottom[:3]
    shape = (prior.num, prior.channels, prior.height * prior.width)
    kinds = (2,) if needs_variances else (1, 2)
    if shape[0] != 1 or shape[1] not in kinds or shape[2] % numbers:
        raise layer.error(f"needs prior boxes of shape (1, 2, {numbers} P), got {prior.shape}")
    count = shape[2] // numbers
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

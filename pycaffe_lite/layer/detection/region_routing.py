"""HardMining and ScaleRoute: some of the regions, with what belongs to them."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.detection.box_code import check_rows
from pycaffe_lite.layer.detection.decode_bbox import WithoutGradient
from pycaffe_lite.layer.detection.ground_truth import Indices
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

USUAL_SCALE = 256.0  # that regions shall be near, if neither bound is given


class _RoutingLayer(WithoutGradient[P]):
    """A layer whose tops are some of the rows of bottoms."""

    def copy_rows(self, rows: Indices, bottom: Blobs, top: Blobs) -> None:
        """Gives each top these rows of its bottom."""
        for x, y in zip(bottom, top, strict=True):
            y.reshape(len(rows), x.channels, x.height, x.width)
            y.data[...] = x.data.reshape(-1, *y.shape[1:])[rows]


@register_layer("HardMining", param="hard_mining_param", origin="Cascade R-CNN")
class HardMiningLayer(_RoutingLayer[caffe_pb2.HardMiningParameter]):
    """The regions with the highest scores, `num_roi_per_image` of each of `num_image` images, in their order.

    Images with fewer regions leave their room to the best of the others.

    Bottom: scores, (R,); regions, (R, 5), and anything else of R rows. Top: of each bottom but the first the
    rows that are kept, (n, C, H, W). There is no gradient. Raises LayerError for shapes that do not fit, and
    for a region of an image that there is not.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/hard_mining_layer.cpp
    """

    min_bottoms = 2
    min_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if len(bottom) != len(top) + 1:
            raise self.error(f"takes a bottom more than tops, got {len(bottom)} and {len(top)}")
        if p.num_roi_per_image < 1 or p.num_image < 1:
            raise self.error(
                f"needs num_roi_per_image and num_image of 1 or more, got {p.num_roi_per_image} and "
                f"{p.num_image}"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        rows = check_rows(self, bottom, (1, 5) + (None,) * (len(bottom) - 2))
        self.count = min(self.param.num_image * self.param.num_roi_per_image, rows)
        for x, y in zip(bottom[1:], top, strict=True):
            y.reshape(self.count, x.channels, x.height, x.width)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        p, images = self.param, bottom[1].data.reshape(-1, 5)[:, 0].astype(np.int64)
        if len(images) and not 0 <= images.min() <= images.max() < p.num_image:
            raise self.error(
                f"needs regions of images 0 to {p.num_image - 1}, got {images.min()} to {images.max()}"
            )
        # The highest score first, of equal ones the last.
        order = np.argsort(bottom[0].data.ravel(), kind="stable")[::-1]
        rank = np.empty(len(order), np.int64)
        for image in range(p.num_image):
            own = order[images[order] == image]
            rank[own] = np.arange(len(own))
        spare = order[rank[order] >= p.num_roi_per_image]
        kept = np.flatnonzero(rank < p.num_roi_per_image)
        self.copy_rows(np.sort(np.append(kept, spare[: self.count - len(kept)])), bottom[1:], top)


@register_layer("ScaleRoute", param="scale_route_param", origin="Cascade R-CNN")
class ScaleRouteLayer(_RoutingLayer[caffe_pb2.ScaleRouteParameter]):
    """The regions whose size, as the side of a square, lies from `low_scale` up to `high_scale`.

    If there is none, the one that is nearest, in log2, to the middle of the two: √(low high), or the one of
    them that is given, or 256.

    Bottom: regions, (R, 5), and anything else of R rows. Top: of each bottom the rows that are kept, (n, C,
    H, W). There is no gradient. Raises LayerError for shapes that do not fit, bounds the wrong way round, and
    if there is no region at all.
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/scale_route_layer.cpp
    """

    min_bottoms = 1
    equal_bottoms_tops = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        given = [v for name in ("low_scale", "high_scale") if p.HasField(name) for v in (getattr(p, name),)]
        self.low = p.low_scale if p.HasField("low_scale") else 0.0
        self.high = p.high_scale if p.HasField("high_scale") else np.inf
        if any(v <= 0 for v in given) or self.high < self.low:
            raise self.error(f"needs 0 < low_scale <= high_scale, got {self.low:g} and {self.high:g}")
        self.middle = float(np.exp(np.mean(np.log(given)))) if given else USUAL_SCALE

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        check_rows(self, bottom, (5,) + (None,) * (len(bottom) - 1))
        for x, y in zip(bottom, top, strict=True):
            y.reshape(1, x.channels, x.height, x.width)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        boxes = bottom[0].data.reshape(-1, 5)[:, 1:]
        sides = boxes[:, 2:] - boxes[:, :2]
        scale = np.sqrt(np.where((sides < 0).any(axis=1), 0, (sides + 1).prod(axis=1)))
        rows = np.flatnonzero((scale >= self.low) & (scale < self.high))
        if not len(rows):
            with np.errstate(divide="ignore"):
                distance = np.abs(np.log2(scale / self.middle))
            if not np.isfinite(distance).any():
                raise self.error(f"needs a region of some size, got {len(boxes)} without")
            rows = np.array([distance.argmin()])
        self.copy_rows(rows, bottom, top)

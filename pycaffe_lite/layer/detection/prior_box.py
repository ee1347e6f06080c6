"""PriorBox and PriorBoxClustered: the boxes that a detector starts from, at each cell of a feature map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

SAME = 1e-6  # of two aspect ratios
DEFAULT_VARIANCE = 0.1

Size = tuple[np.float32, np.float32]  # width and height, in pixels of the image


class PriorsLayer(Layer[caffe_pb2.PriorBoxParameter]):
    """Boxes of several sizes about the centre of each cell, and the variances of their offsets.

    Centre: ((column + offset) step_w, (row + offset) step_h), in pixels; the step is `step`, or `step_w` and
    `step_h`, or else the image's size over the map's. A box reaches half its width and height from there, and
    all is divided by the image's size: `img_size`, `img_w` and `img_h`, or else that of the second bottom.
    With `clip` the corners are moved into 0 to 1.

    Bottom: feature map, (N, C, H, W), and image, of which only the heights and widths count.
    Top: (1, 2, H W K 4) for K boxes per cell: xmin, ymin, xmax, ymax of each box, row by row and cell by
    cell, and as many variances (`variance`: one for all, or one for each of the four; 0.1 by default). There
    is no gradient. Raises LayerError for sizes that are not positive or not given, and another number of
    variances.
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return False

    def sizes(self) -> list[Size]:
        """The sizes of the boxes of a cell, in their order."""
        raise NotImplementedError

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.box_sizes = self.sizes()
        variance = list(p.variance) or [DEFAULT_VARIANCE]
        if len(variance) not in (1, 4):
            raise self.error(f"needs 1 or 4 variances, got {len(variance)}")
        if min(variance) <= 0:
            raise self.error(f"needs variances above 0, got {min(variance):g}")
        self.variance = np.array(variance * (4 // len(variance)), np.float32)
        self._check_pair("img_size", "img_h", "img_w")
        self._check_pair("step", "step_h", "step_w")
        self._made_for: tuple[int, ...] = ()

    def _check_pair(self, both: str, height: str, width: str) -> None:
        """Refuses a size that is given twice, by half, or as 0."""
        given = [name for name in (both, height, width) if self.param.HasField(name)]
        if given not in ([], [both], [height, width]):
            raise self.error(
                f"needs {both}, or {height} and {width}, or none of them, got {' and '.join(given)}"
            )
        for name in given:
            if not getattr(self.param, name) > 0:
                raise self.error(f"needs {name} above 0, got {getattr(self.param, name):g}")

    def _pair(self, both: str, height: str, width: str) -> tuple[float, float]:
        """Height and width as they are given, or 0 and 0."""
        p = self.param
        if p.HasField(both):
            return getattr(p, both), getattr(p, both)
        return getattr(p, height), getattr(p, width)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        cells, image = bottom
        top[0].reshape(1, 2, cells.height * cells.width * len(self.box_sizes) * 4)
        shapes = (cells.height, cells.width, image.height, image.width)
        if 0 in shapes:
            raise self.error(f"needs a map and an image with pixels, got shapes {cells.shape}, {image.shape}")
        if shapes != self._made_for:
            self.priors = self._make(*shapes)
            self._made_for = shapes

    def _make(self, height: int, width: int, image_height: int, image_width: int) -> Array:
        """The corners of all boxes: (height, width, K, 4), rounded where the fork rounds.

        A small box may lie within several prior boxes of one area, whose overlaps with it are then equal but
        for rounding: the last bit decides which of them is matched with it, and trained.
        """
        f = np.float32
        image = [f(given or own) for given, own in zip(
            self._pair("img_size", "img_h", "img_w"), (image_height, image_width), strict=True
        )]  # fmt: skip
        steps = [f(given) or whole / f(cells) for given, whole, cells in zip(
            self._pair("step", "step_h", "step_w"), image, (height, width), strict=True
        )]  # fmt: skip
        offset = f(self.param.offset)
        y = (np.arange(height, dtype=f) + offset) * steps[0]
        x = (np.arange(width, dtype=f) + offset) * steps[1]
        sizes = np.array(self.box_sizes, np.float64)  # a corner is rounded once, at its end
        priors = np.empty((height, width, len(sizes), 4), f)
        for k, sign in ((0, -1), (2, 1)):
            priors[..., k] = (x[:, None] + sign * sizes[:, 0] / 2) / image[1]
            priors[..., k + 1] = (y[:, None, None] + sign * sizes[:, 1] / 2) / image[0]
        return priors.clip(0, 1) if self.param.clip else priors

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        rows = top[0].data[0]
        rows[0] = self.priors.ravel()
        rows[1].reshape(-1, 4)[...] = self.variance

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if any(propagate_down):
            raise self.error("has no gradient")


@register_layer("PriorBox", param="prior_box_param", origin="SSD")
class PriorBoxLayer(PriorsLayer):
    """Boxes for each `min_size` m: squares, and one of the same area m² for each aspect ratio r.

    A square of side m comes first, one of sqrt(m M) next if there is a `max_size` M, then for each ratio one
    of width m sqrt(r) and height m / sqrt(r). With `flip` (true by default) each ratio brings its reciprocal;
    equal ones, and 1, count once. Sizes lose their fractions, as in the fork: 10.7 is 10.
    Paper: Liu et al., "SSD: Single Shot MultiBox Detector", 2016 (arXiv 1512.02325).
    Source: weiliu89/caffe src/caffe/layers/prior_box_layer.cpp
    """

    def sizes(self) -> list[Size]:
        p, f = self.param, np.float32
        if not p.min_size:
            raise self.error("needs at least one min_size")
        if p.width or p.height:
            raise self.error("takes min_size, not width and height: those are PriorBoxClustered's")
        if p.max_size and len(p.max_size) != len(p.min_size):
            raise self.error(f"needs no max_size or {len(p.min_size)}, got {len(p.max_size)}")
        sizes: list[Size] = []
        ratios = self._ratios()
        for i, least in enumerate(p.min_size):
            if not least > 0:
                raise self.error(f"needs min_size above 0, got {least:g}")
            side = int(least)
            sizes.append((f(side), f(side)))
            if p.max_size:
                if not p.max_size[i] > least:
                    raise self.error(f"needs max_size above min_size {least:g}, got {p.max_size[i]:g}")
                mean = f(math.sqrt(side * int(p.max_size[i])))
                sizes.append((mean, mean))
            for ratio in ratios:
                root = np.sqrt(f(ratio))
                sizes.append((f(side) * root, f(side) / root))
        return sizes

    def _ratios(self) -> list[float]:
        """The aspect ratios beside 1."""
        ratios = [1.0]
        for ratio in self.param.aspect_ratio:
            if not ratio > 0:
                raise self.error(f"needs aspect_ratio above 0, got {ratio:g}")
            if any(abs(ratio - other) < SAME for other in ratios):
                continue
            ratios.append(ratio)
            if self.param.flip:
                ratios.append(float(np.float32(1) / np.float32(ratio)))
        return [ratio for ratio in ratios if abs(ratio - 1) >= SAME]


@register_layer("PriorBoxClustered", param="prior_box_param", origin="OpenVINO")
class PriorBoxClusteredLayer(PriorsLayer):
    """Boxes of the widths and heights that are given, say those of clusters in the data.

    Source: openvinotoolkit/training_toolbox_caffe src/caffe/layers/prior_box_clustered_layer.cpp
    """

    def sizes(self) -> list[Size]:
        widths, heights = self.param.width, self.param.height
        if len(widths) != len(heights) or not widths:
            raise self.error(f"needs as many widths as heights, got {len(widths)} and {len(heights)}")
        if min(*widths, *heights) <= 0:
            raise self.error(f"needs widths and heights above 0, got {min(*widths, *heights):g}")
        return [(np.float32(w), np.float32(h)) for w, h in zip(widths, heights, strict=True)]

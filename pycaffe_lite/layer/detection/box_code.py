"""What the layers of Cascade R-CNN have in common: offsets with means and deviations, fields, overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import pixel_boxes
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.detection.ground_truth import Indices


class BoxCode(NamedTuple):
    """How offsets are normalised: t std + mean.

    Attributes:
        means, stds: (4,). cls_aware: whether each class has offsets of its own.
    """

    means: Array
    stds: Array
    cls_aware: bool

    def denormalised(self, offsets: Array) -> Array:
        """Offsets, (..., 4), as they are meant."""
        meant: Array = offsets * self.stds + self.means
        return meant

    def normalised(self, offsets: Array) -> Array:
        """The reverse of `denormalised`."""
        normal: Array = (offsets - self.means) / self.stds
        return normal

    def columns(self, labels: Indices) -> Indices:
        """Which group of four offsets is that of each label."""
        return labels if self.cls_aware else np.minimum(labels, 1)


def box_code(layer: Layer[Any]) -> BoxCode:
    """What a layer's `bbox_reg_param` says.

    Raises:
        LayerError: not four means and four deviations above 0.
    """
    p = layer.layer_param.bbox_reg_param
    means, stds = np.zeros(4), np.ones(4)
    if p.bbox_mean and p.bbox_std:
        if len(p.bbox_mean) != 4 or len(p.bbox_std) != 4 or min(p.bbox_std) <= 0:
            raise layer.error(
                f"needs four numbers bbox_mean and four bbox_std above 0, got {list(p.bbox_mean)} and "
                f"{list(p.bbox_std)}"
            )
        means, stds = np.array(p.bbox_mean), np.array(p.bbox_std)
    return BoxCode(means.astype(layer.dtype), stds.astype(layer.dtype), p.cls_aware)


def decoded(boxes: Array, offsets: Array) -> Array:
    """The boxes that offsets mean, neither of them clipped.

    Args:
        boxes: (R, 4), x1, y1, x2, y2. offsets: (R, 4), centre and logarithm of the size, in sizes of the box.
    """
    sizes = boxes[:, 2:] - boxes[:, :2] + 1
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2 + offsets[:, :2] * sizes
    sizes = sizes * np.exp(offsets[:, 2:])
    low = centres - (sizes - 1) / 2
    return np.hstack([low, low + sizes - 1])


class Fields(NamedTuple):
    """The boxes that the cells of a map stand for: one of each size about each cell's centre.

    Attributes:
        sizes: (g, 2), widths and heights, in pixels. stride: how many pixels a cell is wide and high.
    """

    sizes: Array
    stride: int

    @property
    def kinds(self) -> int:
        """How many sizes there are."""
        return len(self.sizes)

    def _centres(self, height: int, width: int) -> Array:
        """Of each cell: (h, w, 2)."""
        y, x = np.mgrid[:height, :width]
        return ((np.stack([x, y], axis=-1) + 0.5) * self.stride).astype(self.sizes.dtype)

    def decoded(self, offsets: Array) -> Array:
        """The boxes that offsets mean: x1, y1, x2, y2.

        Args:
            offsets: (N g, 4, h, w), those of each image field by field; the same shape is returned.
        """
        t = self._by_cell(offsets)
        sizes = self.sizes[:, None, None] * np.exp(t[..., 2:])
        centres = t[..., :2] * self.sizes[:, None, None] + self._centres(*t.shape[2:4])
        low = centres - sizes / 2
        boxes = np.concatenate([low, low + sizes - 1], axis=-1)
        result: Array = np.ascontiguousarray(boxes.transpose(0, 1, 4, 2, 3)).reshape(offsets.shape)
        return result

    def encoded(self, boxes: Array) -> Array:
        """The offsets of boxes given by centre and size, in the same form; sizes are 2 pixels at least."""
        b = self._by_cell(boxes)
        sizes = self.sizes[:, None, None]
        places = (b[..., :2] - self._centres(*b.shape[2:4])) / sizes
        t = np.concatenate([places, np.log(np.maximum(b[..., 2:], 2) / sizes)], axis=-1)
        offsets: Array = np.ascontiguousarray(t.transpose(0, 1, 4, 2, 3)).reshape(boxes.shape)
        return offsets

    def _by_cell(self, values: Array) -> Array:
        """(N g, 4, h, w) as (N, g, h, w, 4)."""
        cells: Array = values.reshape(-1, self.kinds, *values.shape[1:]).transpose(0, 1, 3, 4, 2)
        return cells


def fields_of(layer: Layer[Any], widths: Sequence[int], heights: Sequence[int], stride: int) -> Fields:
    """The fields that a layer's options name.

    Raises:
        LayerError: not as many widths as heights, none, or a size of 0.
    """
    if len(widths) != len(heights) or not widths or min(*widths, *heights, stride) < 1:
        raise layer.error(
            f"needs as many field_w as field_h, and a stride, all of 1 or more, got {list(widths)}, "
            f"{list(heights)} and {stride}"
        )
    return Fields(np.stack([widths, heights], axis=1).astype(layer.dtype), stride)


def kind_of(layer: Layer[Any], name: str) -> int:
    """The number of a kind of overlap.

    Raises:
        LayerError: there is no such kind.
    """
    if name not in pixel_boxes.KINDS:
        raise layer.error(f"unknown nms_type '{name}' (known: {', '.join(pixel_boxes.KINDS)})")
    return pixel_boxes.KINDS[name]


def suppressed(boxes: Array, order: Indices, threshold: float, kind: int) -> Indices:
    """Of boxes in this order, the indices of those that stay."""
    kept = np.empty(len(order), np.int64)
    return kept[: pixel_boxes.suppress(np.ascontiguousarray(boxes), order, threshold, kind, kept)]


def overlaps(boxes: Array, others: Array, *, by_sizes: bool) -> Array:
    """The overlap of each box with each other one: (B, G)."""
    found = np.empty((len(boxes), len(others)), boxes.dtype)
    boxes, others = np.ascontiguousarray(boxes), np.ascontiguousarray(others, boxes.dtype)
    pixel_boxes.overlaps(boxes, others, pixel_boxes.IOU, by_sizes, found)
    return found


def pair_overlaps(boxes: Array, others: Array) -> Array:
    """The overlap of each box with the other one of its number: (count,)."""
    found = np.empty(len(boxes), boxes.dtype)
    pixel_boxes.pair_overlaps(np.ascontiguousarray(boxes), np.ascontiguousarray(others, boxes.dtype), found)
    return found


def check_rows(layer: Layer[Any], bottom: Sequence[Any], columns: Sequence[int | None]) -> int:
    """The number of rows of the first bottoms, which is the same for all.

    Args:
        layer: of whom to speak. bottom: its bottoms. columns: how many numbers a row of each has; None: any.

    Raises:
        LayerError: the numbers differ.
    """
    rows: int = bottom[0].num
    for blob, count in zip(bottom, columns, strict=False):
        own = blob.count_axes(1) if blob.shape else 0
        if blob.num != rows or (count is not None and own != count):
            each = "" if count is None else f" of {count} numbers"
            raise layer.error(f"needs {rows} rows{each}, as its first bottom has, got shape {blob.shape}")
    return rows

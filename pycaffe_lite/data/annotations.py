"""The boxes of a picture, and what becomes of them where the picture is resized or cut.

Boxes are relative to the picture: (n, 4) float32, xmin, ymin, xmax, ymax. All operations round to float32.

Source: weiliu89/caffe src/caffe/util/bbox_util.cpp, im_transforms.cpp, data_transformer.cpp
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

ResizeParameter = caffe_pb2.ResizeParameter
EmitConstraint = caffe_pb2.EmitConstraint
Floats = npt.NDArray[np.float32]


class Annotations(NamedTuple):
    """The objects of a picture, in the order of their groups.

    Attributes:
        boxes: (n, 4). about: (n, 3) float32: group_label, instance_id, difficult.
    """

    boxes: Floats
    about: Floats

    @classmethod
    def of(cls, record: caffe_pb2.AnnotatedDatum) -> Annotations:
        """Those of a record."""
        rows = [
            (b.xmin, b.ymin, b.xmax, b.ymax, group.group_label, annotation.instance_id, b.difficult)
            for group in record.annotation_group
            for annotation in group.annotation
            for b in (annotation.bbox,)
        ]
        values = np.array(rows, np.float32).reshape(-1, 7)
        return cls(values[:, :4].copy(), values[:, 4:])

    def within(self, part: Floats, emit: caffe_pb2.EmitConstraint | None) -> Annotations:
        """Those that stay with a part of the picture, relative to it and clipped.

        Args:
            part: (4,) the part's corners. emit: which boxes stay; None: all that overlap it.
        """
        own = self.boxes
        stays = np.ones(len(own), np.bool_) if emit is None else _emitted(own, part, emit)
        stays = (
            stays
            & (own[:, 0] < part[2])
            & (own[:, 2] > part[0])
            & (own[:, 1] < part[3])
            & (own[:, 3] > part[1])
        )
        sides = part[2:] - part[:2]
        moved = ((own - np.tile(part[:2], 2)) / np.tile(sides, 2)).clip(0, 1)
        stays = stays & (_areas(moved) > 0)
        return Annotations(moved[stays], self.about[stays])

    def resized(self, param: caffe_pb2.ResizeParameter, height: int, width: int) -> Annotations:
        """Those of the resized picture. height, width: of the one before."""
        return self._replace(boxes=_resized(self.boxes, param, height, width))

    def mirrored(self) -> Annotations:
        """Those of the mirrored picture."""
        boxes = self.boxes.copy()
        boxes[:, 0], boxes[:, 2] = 1 - self.boxes[:, 2], 1 - self.boxes[:, 0]
        return self._replace(boxes=boxes)

    def relative_to_scale(
        self, param: caffe_pb2.ResizeParameter, height: int, width: int, part: Floats
    ) -> Annotations:
        """Those in units of height_scale and width_scale, where FIT_SMALL_SIZE has them; else the same.

        Args:
            param: how the picture was resized. height, width: of it before. part: which part is left.

        Raises:
            DataError: the part is smaller than the scale.
        """
        scale = np.array([param.width_scale, param.height_scale], np.float32)
        if param.resize_mode != ResizeParameter.FIT_SMALL_SIZE or not scale.all():
            return self
        size = _small_size(param, height, width)
        sides = np.array([size[1], size[0]], np.float32) * (part[2:] - part[:2])
        if (sides < scale).any():
            raise DataError(
                f"resize_param needs height_scale {param.height_scale} and width_scale {param.width_scale} "
                f"up to the size of the picture that is left, {sides[1]:g} x {sides[0]:g}"
            )
        return self._replace(boxes=self.boxes * np.tile(sides / scale, 2))


def _emitted(boxes: Floats, part: Floats, emit: caffe_pb2.EmitConstraint) -> npt.NDArray[np.bool_]:
    """Which boxes meet a constraint."""
    if emit.emit_type == EmitConstraint.CENTER:
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        return np.asarray(((centres >= part[:2]) & (centres <= part[2:])).all(axis=1))
    sides: Floats = np.minimum(boxes[:, 2:], part[2:]) - np.maximum(boxes[:, :2], part[:2])
    common = (sides[:, 0] * sides[:, 1]) * (sides > 0).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(common > 0, common / _areas(boxes), 0)
    covered: npt.NDArray[np.bool_] = shares > np.float32(emit.emit_overlap)
    return covered


def _areas(boxes: Floats) -> Floats:
    sides: Floats = (boxes[:, 2:] - boxes[:, :2]).clip(0)
    areas: Floats = sides[:, 0] * sides[:, 1]
    return areas


def _small_size(param: caffe_pb2.ResizeParameter, height: int, width: int) -> tuple[np.float32, np.float32]:
    """Height and width under FIT_SMALL_SIZE, with their fractions."""
    f = np.float32
    tall, wide = f(param.height), f(param.width)
    aspect = f(width) / f(height)
    return (wide / aspect, wide) if aspect < wide / tall else (tall, aspect * tall)


def _resized(boxes: Floats, param: caffe_pb2.ResizeParameter, height: int, width: int) -> Floats:
    """Boxes of the resized picture; the padding beside it is not rounded to pixels, as in the fork."""
    f = np.float32
    old = np.array([width, height], f)
    tall, wide = f(param.height), f(param.width)
    aspect = old[0] / old[1]
    padding: Floats = np.zeros(2, f)
    if param.resize_mode == ResizeParameter.FIT_SMALL_SIZE:
        tall, wide = _small_size(param, height, width)
    elif param.resize_mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        if aspect > wide / tall:
            padding[1] = (tall - wide / aspect) / 2
        else:
            padding[0] = (wide - aspect * tall) / 2
    new = np.array([wide, tall], f)
    scaled: Floats = boxes.reshape(-1, 2, 2) * old
    scaled = (scaled * (new - 2 * padding) / old).astype(f)
    scaled[:, 0] = padding + np.maximum(scaled[:, 0], 0)
    scaled[:, 1] = padding + np.minimum(scaled[:, 1], new)
    result: Floats = (scaled / new).reshape(-1, 4)
    return result

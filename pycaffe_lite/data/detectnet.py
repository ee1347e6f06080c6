"""What NVIDIA's DetectNet makes of pictures and boxes: random changes, and labels on a grid.

Source: NVIDIA/caffe src/caffe/layers/detectnet_transform_layer.cpp and
src/caffe/util/detectnet_coverage_rectangular.cpp, the code for CPUs
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import resizing, turning
from pycaffe_lite.kernels import float_pictures
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]  # height and width

LEADING = 8  # channels of a label before those of the classes
_WHOLE = np.float32(2**32 - 1)
_EPSILON = float(np.finfo(np.float32).eps)
_PALER = 1 - 1 / 255  # a saturation from here on is that of the picture


class Changes(NamedTuple):
    """What is done to a picture and its boxes.

    Attributes:
        hue: degrees by which it is turned. saturation: its factor.
        flip: whether it is mirrored. size: height and width to which it is scaled.
        rotation: degrees by which the picture is turned then.
        top, left: the first row and column of what is left; below 0 where zeros come first.
    """

    hue: float
    saturation: float
    flip: bool
    size: Size
    rotation: float
    top: int
    left: int


def unchanged(wanted: Size) -> Changes:
    """What is done in TEST: the picture is scaled to the size wanted."""
    return Changes(0.0, 1.0, False, wanted, 0.0, 0, 0)


def draw_changes(
    param: caffe_pb2.DetectNetAugmentationParameter, size: Size, wanted: Size, stream: RandomStream
) -> Changes:
    """The changes of a picture of a size, of which a part of the size wanted is left, in TRAIN."""

    def drawn() -> np.float32:
        share: np.float32 = np.float32(stream.raw()) / _WHOLE
        return share

    def happens(probability: float) -> bool:
        return bool(drawn() <= np.float32(probability))

    hue, saturation, rotation = 0.0, 1.0, 0.0
    if happens(param.hue_rotation_prob):
        hue = max(min(float(np.float32((float(drawn()) - 0.5) * 2 * param.hue_rotation)), 180.0), -180.0)
    if happens(param.desaturation_prob):
        saturation = float(np.float32(1 - drawn() * np.float32(param.desaturation_max)))
    flip = happens(param.flip_prob)
    scaled = size
    if happens(param.scale_prob):
        least, most = np.float32(param.scale_min), np.float32(param.scale_max)
        factor = least + (most - least) * drawn()
        scaled = _rounded(np.float32(size[0]) * factor), _rounded(np.float32(size[1]) * factor)
    if happens(param.rotation_prob):
        rotation = float(np.float32((float(drawn()) - 0.5) * 2 * param.max_rotate_degree))
    turned = _turned_size(scaled, rotation) if abs(rotation) > _EPSILON else scaled
    across = along = 0.5
    shift_x = shift_y = 0
    if happens(param.crop_prob):
        across, along = float(drawn()), float(drawn())
        shift_x, shift_y = param.shift_x, param.shift_y
    left = _rounded(across * (turned[1] - wanted[1] + shift_x) - shift_x // 2)
    top = _rounded(along * (turned[0] - wanted[0] + shift_y) - shift_y // 2)
    return Changes(hue, saturation, flip, scaled, rotation, top, left)


def changed(picture: Floats, changes: Changes, wanted: Size, mean: Floats | None) -> Floats:
    """A picture with its changes, less the mean; what lies outside of it is 0.

    Args:
        picture: (3, H, W), from 0 to 255.
        wanted: height and width of what is left.
        mean: (3, 1, 1) or (3, H, W); None: none.

    Returns:
        (3, *wanted).
    """
    pixels = np.ascontiguousarray(picture.transpose(1, 2, 0), np.float32) * np.float32(1 / 255)
    turns, pales = abs(changes.hue) > _EPSILON, changes.saturation < _PALER
    if turns or pales:
        saturation = changes.saturation if pales else 1.0
        float_pictures.recolored(pixels.reshape(-1, 3), changes.hue if turns else 0.0, saturation)
    if mean is not None:
        pixels -= mean.transpose(1, 2, 0) / np.float32(255)
    if changes.flip:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    if pixels.shape[:2] != changes.size:
        pixels = resizing.scaled_floats(pixels, *changes.size)
    if abs(changes.rotation) > _EPSILON:
        size = pixels.shape[0], pixels.shape[1]
        turned_size = _turned_size(size, changes.rotation)
        pixels = turning.warped(pixels, _turning(size, changes.rotation), turned_size)
    out = np.zeros((*wanted, 3), np.float32)
    source, target = [], []
    for start, there, here in zip((changes.top, changes.left), pixels.shape, wanted, strict=False):
        first, last = max(start, 0), min(start + here, there)
        source.append(slice(first, max(last, first)))
        target.append(slice(first - start, max(last, first) - start))
    out[tuple(target)] = pixels[tuple(source)]
    out *= np.float32(255)
    planes: Floats = out.transpose(2, 0, 1)
    return planes


def carried(boxes: Floats, changes: Changes, size: Size) -> Floats:
    """Boxes, (n, 4), left, top, width and height, as they lie after the changes of a picture of a size."""
    boxes = boxes.astype(np.float32)
    if changes.flip:
        boxes[:, 0] = np.float32(size[1]) - boxes[:, 0] - boxes[:, 2] - 1
    if size != changes.size:
        factors = (
            np.float32(changes.size[1]) / np.float32(size[1]),
            np.float32(changes.size[0]) / np.float32(size[0]),
        )
        boxes *= np.array([*factors, *factors], np.float32)
    if abs(changes.rotation) > _EPSILON:
        matrix = _turning(changes.size, changes.rotation)
        halves = boxes[:, 2:] / 2
        boxes[:, :2] = (boxes[:, :2] + halves) @ matrix[:, :2].T + matrix[:, 2] - halves
    boxes[:, :2] -= np.array([changes.left, changes.top], np.float32)
    return boxes


# -------------------------------------------------------------------------------------------------- turning


def _rounded(x: float) -> int:
    """Halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def _turned_size(size: Size, rotation: float) -> Size:
    """Height and width of a picture of a size when it is turned by degrees."""
    return turning.size_about((int(0.5 * size[1]), int(0.5 * size[0])), size, rotation)


def _turning(size: Size, rotation: float) -> Floats:
    """The matrix, (2, 3), from places of a picture to those of the turned one, x before y."""
    center = size[1] / 2, size[0] / 2
    least = np.floor(turning.corners(center, size, rotation).min(axis=0)).astype(np.float64)
    c, s = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    matrix = np.array([[c, -s, 0], [s, c, 0]])
    matrix[:, 2] = np.array(center) - least - matrix[:, :2] @ center
    return matrix.astype(np.float32)


# ------------------------------------------------------------------------------------------------ the grid


class Grid:
    """Labels of the boxes of pictures: for each cell of a grid, what of a box it covers.

    The channels of a cell: whether it belongs to an object; left, top, right and bottom edge of the object's
    box, relative to the cell's first pixel; 1 / width and 1 / height of the box; how much the cell counts, a
    cell's area by that of the covered part of the box, at least 1 unless `obj_norm` is set; and for each
    class whether the object is of it. Cells that belong to no object are 0; of several objects, the last
    one counts.

    Args:
        param: how labels are made.

    Attributes:
        shape: (channels, rows, columns).
    """

    def __init__(self, param: caffe_pb2.DetectNetGroundTruthParameter) -> None:
        self._param = param
        self._classes = {pair.src: pair.dst for pair in param.object_class} or {1: 0}
        share = np.float32(1 / param.stride)
        rows, columns = (
            int(np.rint(np.float32(n) * share)) for n in (param.image_size_y, param.image_size_x)
        )
        self.shape = LEADING + max(self._classes.values()) + 1, rows, columns

    def labels(self, boxes: Floats, classes: npt.NDArray[np.int64]) -> Floats:
        """The labels of a picture.

        Args:
            boxes: (n, 4), left, top, width and height, in pixels. classes: (n,), as in the records.
        """
        out = np.zeros(self.shape, np.float32)
        picture = np.array([0, 0, self._param.image_size_x, self._param.image_size_y], np.float32)
        for box, number in zip(boxes, classes.tolist(), strict=True):
            if self._param.crop_bboxes:
                box = _common(box, picture)
            if number in self._classes and box[2] * box[3] >= _EPSILON:
                self._mark(box, self._classes[number], out)
        return out

    def _mark(self, box: Floats, class_number: int, out: Floats) -> None:
        """Writes an object's labels into the cells that belong to it."""
        stride = np.float32(self._param.stride)
        covered = self._covered(box)
        _, rows, columns = self.shape
        first = np.floor(covered[:2] / stride).astype(int)
        last = np.ceil((covered[:2] + covered[2:]) / stride).astype(int)
        columns_in, rows_in = (
            np.arange(max(a, 0), min(b, n)) for a, b, n in zip(first, last, (columns, rows), strict=True)
        )
        if not (len(rows_in) and len(columns_in)):
            return
        area = stride * stride
        left, top = columns_in * stride, rows_in * stride
        wide, tall = (
            np.minimum(edge + stride, covered[i] + covered[i + 2]) - np.maximum(edge, covered[i])
            for i, edge in enumerate((left, top))
        )
        inside = np.maximum(tall, 0)[:, None] * np.maximum(wide, 0) / area > _EPSILON
        weight = area / (covered[2] * covered[3])
        right, bottom = box[:2] + box[2:]
        values = [
            np.float32(1), box[0] - left, (box[1] - top)[:, None], right - left, (bottom - top)[:, None],
            1 / box[2], 1 / box[3], weight if self._param.obj_norm else max(weight, np.float32(1)),
        ]  # fmt: skip
        part = out[:, rows_in[0] : rows_in[-1] + 1, columns_in[0] : columns_in[-1] + 1]
        for channel, value in enumerate(values):
            part[channel] = np.where(inside, value, part[channel])
        for channel in range(LEADING, len(out)):
            part[channel] = np.where(inside, channel == LEADING + class_number, part[channel])

    def _covered(self, box: Floats) -> Floats:
        """The part of a box that counts, about its middle: left, top, width and height."""
        param = self._param
        sides = box[2:] * np.float32(param.scale_cvg)
        if param.gridbox_type == caffe_pb2.DetectNetGroundTruthParameter.GRIDBOX_MIN:
            sides = np.minimum(box[2:], np.maximum(np.float32(param.min_cvg_len), sides))
        else:
            sides = np.minimum(np.float32(param.max_cvg_len), sides)
        center = (box[:2] + (box[:2] + box[2:])) * np.float32(0.5)
        low, high = center - sides * np.float32(0.5), center + sides * np.float32(0.5)
        return np.concatenate([low, high - low])


def _common(box: Floats, other: Floats) -> Floats:
    """What two boxes have in common; zeros if that is nothing."""
    low = np.maximum(box[:2], other[:2])
    size = np.minimum(box[:2] + box[2:], other[:2] + other[2:]) - low
    return np.concatenate([low, size]) if size.min() > 0 else np.zeros(4, np.float32)

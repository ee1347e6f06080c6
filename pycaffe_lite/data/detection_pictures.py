"""Batches of pictures with their boxes for Cascade R-CNN, changed at random in training.

Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_data_layer.cpp and eval_data_layer.cpp
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import distortion, image
from pycaffe_lite.data.anchor_labels import Sight, anchor_labels
from pycaffe_lite.data.detection_list import DetectionList, Listed
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.data.prefetch import Batch, Work
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]  # height and width
Number = float | np.floating

_CHANNELS = 3
_ROW = 8  # of ground truth: picture, box, label, ignored, difficult
_MOST_ENLARGED = 1.5  # of a picture as a whole; beyond, a part is cut out first
_MARGIN = 1.2  # of such a part, beside what is seen of it
_STEP = 32  # of sizes
# State: checksum of the list, which of its pictures comes next.
_STATE = struct.Struct("<IQ")


def rounded(x: float) -> int:
    """To the next whole number; halves go away from 0."""
    return int(math.copysign(math.floor(abs(float(x)) + 0.5), x))


def moved(boxes: Floats, across: Number, along: Number, x: float = 0, y: float = 0) -> Floats:
    """Boxes, (n, 4), scaled in both directions and then shifted."""
    factors = np.array([across, along] * 2, np.float32)
    return boxes * factors + np.array([x, y] * 2, np.float32)


class Prepared(NamedTuple):
    """What becomes of a picture, and where its boxes are then.

    Attributes:
        listed: the picture. changes: of its colours. mirrored: whether it is.
        size: to which it is resized. part: top, left, height, width of what is cut out then, if anything is.
        scaled: the size of that, scaled.
        target, source: the first row and column in the item and in the picture. copied: rows and columns.
        boxes, about, ignored: of the picture, in the item.
    """

    listed: Listed
    changes: list[distortion.Change]
    mirrored: bool
    size: Size
    part: tuple[int, int, int, int] | None
    scaled: Size
    target: Size
    source: Size
    copied: Size
    boxes: Floats
    about: npt.NDArray[np.int64]
    ignored: Floats


class PictureReader:
    """Reads pictures of a list, and makes of them what is planned.

    Args:
        pictures: the list. locate: from a name of it to the file.
        mean: of each channel, (3,). scale: the factor of values less the mean.
    """

    def __init__(
        self, pictures: DetectionList, locate: Callable[[str], Path], mean: Floats, scale: float
    ) -> None:
        self.pictures, self._locate = pictures, locate
        self._mean, self._scale = mean, np.float32(scale)

    def make(self, plan: Prepared, out: Floats) -> None:
        """Makes an item.  out: (3, h, w), overwritten; what the picture does not cover is 0.

        Raises:
            FileLookupError, DataError: the picture cannot be read, or has another size than the list says.
        """
        listed = plan.listed
        try:
            pixels = image.read(self._locate(listed.name), True).pixels
        except (DataError, FileLookupError) as error:
            raise type(error)(f"'{self.pictures.path}': {error}") from None
        if pixels.shape[:2] != (listed.height, listed.width):
            raise DataError(
                f"'{self.pictures.path}': picture '{listed.name}' is {pixels.shape[0]} x {pixels.shape[1]}, "
                f"the list says {listed.height} x {listed.width}"
            )
        pixels = distortion.changed(pixels, plan.changes)
        if plan.mirrored:
            pixels = pixels[:, ::-1]
        pixels = _resized(pixels, plan.size)
        if plan.part is not None:
            top, left, height, width = plan.part
            pixels = pixels[top : top + height, left : left + width]
        pixels = _resized(pixels, plan.scaled)
        out.fill(0)
        (y, x), (top, left), (height, width) = plan.source, plan.target, plan.copied
        seen = pixels[y : y + height, x : x + width].astype(np.float32)
        out[:, top : top + height, left : left + width] = ((seen - self._mean) * self._scale).transpose(
            2, 0, 1
        )


def _resized(pixels: Pixels, size: Size) -> Pixels:
    return pixels if pixels.shape[:2] == size else image.resize(np.ascontiguousarray(pixels), *size)


def truth(plans: Sequence[Prepared]) -> Floats:
    """The boxes of a batch, (G, 8, 1, 1): picture, corners, label, ignored, difficult; one of -1 for none."""
    rows = [
        [n, *box, *about]
        for n, plan in enumerate(plans)
        for box, about in zip(plan.boxes.tolist(), plan.about.tolist(), strict=True)
    ]
    found = np.array(rows, np.float32) if rows else np.full((1, _ROW), -1, np.float32)
    return found.reshape(-1, _ROW, 1, 1)


class EvalSource:
    """Makes batches of the pictures of a list, in their order, resized to multiples of 32, with their boxes.

    Args:
        reader: of the pictures. param: the layer's eval_data_param.
    """

    def __init__(self, reader: PictureReader, param: caffe_pb2.EvalDataParameter) -> None:
        self._reader, self._param, self._next = reader, param, 0

    def shape(self) -> tuple[int, ...]:
        """Shape of the items as the fork tells it at set-up."""
        p, last = self._param, self._reader.pictures.pictures[-1]
        if p.HasField("resize_width") and p.HasField("resize_height"):
            return _CHANNELS, p.resize_height, p.resize_width
        if p.HasField("short_size") and p.HasField("long_size"):
            return _CHANNELS, p.long_size, p.short_size
        return _CHANNELS, last.height, last.width

    def state(self) -> bytes:
        """Which picture comes next."""
        return _STATE.pack(self._reader.pictures.checksum, self._next)

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken; returns what starts afresh instead, in words."""
        checksum, following = _STATE.unpack(state) if len(state) == _STATE.size else (None, 0)
        fits = checksum == self._reader.pictures.checksum and following < len(self._reader.pictures.order)
        self._next = following if fits else 0
        return "" if fits else "its list starts afresh: it has changed since the state was saved"

    def plan(self) -> Work:
        """Takes the next pictures."""
        pictures, order = self._reader.pictures.pictures, self._reader.pictures.order
        plans = []
        for _ in range(self._param.batch_size):
            plans.append(self._prepared(pictures[order[self._next]]))
            self._next = (self._next + 1) % len(order)
        return DetectionWork(plans, plans[0].scaled, self._reader, None, self.state())

    def _prepared(self, listed: Listed) -> Prepared:
        p, height, width = self._param, listed.height, listed.width
        if p.HasField("resize_width") and p.HasField("resize_height"):
            height, width = p.resize_height, p.resize_width
        elif p.HasField("short_size") and p.HasField("long_size"):
            factor = np.float32(p.short_size) / np.float32(min(height, width))
            height, width = (
                min(rounded(np.float32(n) * factor), p.long_size) for n in (listed.height, listed.width)
            )
        height, width = (rounded(n / _STEP) * _STEP for n in (height, width))
        if min(height, width) < _STEP:
            raise DataError(f"picture '{listed.name}' becomes {height} x {width}: take larger sizes")
        size = height, width
        factors = np.float32(width) / np.float32(listed.width), np.float32(height) / np.float32(listed.height)
        same = size == (listed.height, listed.width)
        boxes = listed.boxes if same else moved(listed.boxes, *factors)
        return Prepared(
            listed, [], False, size, None, size, (0, 0), (0, 0), size, boxes, listed.about, listed.ignored
        )


class DetectionSource:
    """Makes batches of the pictures of a list, changed at random, with labels for anchors.

    Args:
        reader: of the pictures. param: the layer's detection_data_param. mirror: whether half are mirrored.
        seed: of the stream from which the order and most is drawn.
        thread: the stream of the thread, from which scales and colours are.
    """

    def __init__(
        self,
        reader: PictureReader,
        param: caffe_pb2.DetectionDataParameter,
        mirror: bool,
        seed: int,
        thread: RandomStream,
    ) -> None:
        self._reader, self._param, self._mirror = reader, param, mirror
        self._stream, self._thread = RandomStream(seed), thread
        pictures, order = reader.pictures.pictures, reader.pictures.order
        tall = np.array([picture.height >= picture.width for picture in pictures])[order]
        self._order, self._tall, self._wide = order.copy(), order[tall], order[~tall]
        self._next = 0
        self._shuffle()

    # ------------------------------------------------------------------------------------------ the order

    def _shuffle(self) -> None:
        """Puts the pictures into the order of the next pass."""
        kind = self._param.shuffle
        if self._param.HasField("shuffle") and kind == "random":
            self._order = self._order[self._stream.permutation(len(self._order))]
        elif self._param.HasField("shuffle"):
            self._tall = self._tall[self._stream.permutation(len(self._tall))]
            self._wide = self._wide[self._stream.permutation(len(self._wide))]
            first, second = self._tall, self._wide
            if self._stream.raw() % 2 == 0:
                first, second = second, first
            self._order = (
                np.concatenate([first, second])
                if kind == "random_aspect"
                else _by_turns(first, second, self._param.mix_group_size)
            )
        self._kept = b"".join(part.astype("<u4").tobytes() for part in (self._order, self._tall, self._wide))

    def state(self) -> bytes:
        """Which picture comes next in which order, and both streams."""
        place = _STATE.pack(self._reader.pictures.checksum, self._next)
        return place + self._stream.state() + self._thread.state() + self._kept

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken; returns what starts afresh instead, in words."""
        size = len(self._stream.state())
        count = len(self._order)
        if len(state) != _STATE.size + 2 * size + 8 * count:
            return "its list starts afresh: it has changed since the state was saved"
        checksum, following = _STATE.unpack_from(state)
        orders = np.frombuffer(state[_STATE.size + 2 * size :], "<u4").astype(np.int64)
        if checksum != self._reader.pictures.checksum or following >= count:
            return "its list starts afresh: it has changed since the state was saved"
        try:
            self._stream.set_state(state[_STATE.size : _STATE.size + size])
            self._thread.set_state(state[_STATE.size + size : _STATE.size + 2 * size])
        except ArgumentError:
            return "its list and its draws start afresh"
        self._next, self._order = following, orders[:count]
        self._tall, self._wide = orders[count : count + len(self._tall)], orders[count + len(self._tall) :]
        self._kept = state[_STATE.size + 2 * size :]
        return ""

    def shape(self) -> tuple[int, ...]:
        """Shape of the items as the fork tells it at set-up."""
        p, last = self._param, self._reader.pictures.pictures[-1]
        if p.HasField("crop_width") and p.HasField("crop_height"):
            return _CHANNELS, p.crop_height, p.crop_width
        if p.HasField("crop_short_size") and p.HasField("crop_long_size"):
            return _CHANNELS, p.crop_long_size, p.crop_short_size
        if p.HasField("short_size") and p.HasField("long_size"):
            return _CHANNELS, p.long_size, p.short_size
        return (_CHANNELS, *self._size(last, np.float32(1)))

    # ---------------------------------------------------------------------------------------- the drawing

    def plan(self) -> Work:
        """Takes the next pictures, and draws what becomes of them."""
        p, ratio = self._param, np.float32(1)
        if p.template_ratio:
            ratio = np.float32(p.template_ratio[self._stream.raw() % len(p.template_ratio)])
        plans: list[Prepared] = []
        template = (0, 0)
        for n in range(p.batch_size):
            listed = self._reader.pictures.pictures[self._order[self._next]]
            plan, template = self._prepared(listed, ratio, template if n else None)
            plans.append(plan)
            self._next += 1
            if self._next == len(self._order):
                self._next = 0
                self._shuffle()
        return DetectionWork(plans, template, self._reader, p, self.state())

    def _size(self, listed: Listed, ratio: np.float32) -> Size:
        """Height and width to which a picture is resized."""
        p, sides = self._param, (listed.height, listed.width)
        if p.HasField("resize_width") and p.HasField("resize_height"):
            return p.resize_height, p.resize_width
        if p.HasField("resize_ratio"):
            factor = np.float32(p.resize_ratio)
        elif p.HasField("short_size") and p.HasField("long_size"):
            short = rounded(np.float32(p.short_size) * ratio / np.float32(_STEP)) * _STEP
            factor = np.float32(short) / np.float32(min(sides))
        else:
            return sides
        return rounded(np.float32(sides[0]) * factor), rounded(np.float32(sides[1]) * factor)

    def _template(self, size: Size, ratio: np.float32) -> Size:
        """Height and width of the items of a batch, of whose first picture this is the size."""
        p, is_tall = self._param, size[0] >= size[1]
        if p.HasField("crop_width") and p.HasField("crop_height"):
            return p.crop_height, p.crop_width
        if p.HasField("resize_width") and p.HasField("resize_height"):
            return self.shape()[1], self.shape()[2]
        if p.HasField("crop_short_size") and p.HasField("crop_long_size"):
            sides = p.crop_long_size, p.crop_short_size
            return sides if is_tall else sides[::-1]
        if p.HasField("short_size") and p.HasField("long_size"):
            long, short = (
                rounded(np.float32(n) * ratio / np.float32(_STEP)) * _STEP
                for n in (p.long_size, p.short_size)
            )
            return (long, short) if is_tall else (short, long)
        return size

    def _prepared(self, listed: Listed, ratio: np.float32, template: Size | None) -> tuple[Prepared, Size]:
        p = self._param
        changes = (
            distortion.draw_changes(p.distort_param, self._thread) if p.HasField("distort_param") else []
        )
        mirrored = self._mirror and self._stream.raw() % 2 == 1
        boxes, ignored, about = listed.boxes, listed.ignored, listed.about.copy()
        if mirrored:
            boxes, ignored = (_mirrored(each, listed.width) for each in (boxes, ignored))
        size = self._size(listed, ratio)
        template = template or self._template(size, ratio)
        if min(*size, *template) < 1:
            raise DataError(f"sizes leave nothing of picture '{listed.name}': take larger ones")
        if size != (listed.height, listed.width):
            factors = (
                np.float32(size[1]) / np.float32(listed.width),
                np.float32(size[0]) / np.float32(listed.height),
            )
            boxes, ignored = moved(boxes, *factors), moved(ignored, *factors)
        center, chosen = self._center(boxes, size, template)
        across, along = self._factors(boxes, chosen)
        part, current = None, size
        if across != 1 or along != 1:
            if across > _MOST_ENLARGED or along > _MOST_ENLARGED:
                part = _part_about(center, size, (along, across))
                center = center[0] - part[0], center[1] - part[1]
                boxes, ignored = (moved(each, 1, 1, -part[1], -part[0]) for each in (boxes, ignored))
                current = part[2], part[3]
            current = rounded(np.float32(current[0]) * along), rounded(np.float32(current[1]) * across)
            current = max(current[0], 1), max(current[1], 1)
        boxes, ignored = moved(boxes, across, along), moved(ignored, across, along)
        noise = [int(self._stream.raw() % 20) - 10 for _ in range(2)]  # across, along
        places = [
            _placed(there, wanted, middle * factor, shift)
            for there, wanted, middle, factor, shift in zip(
                current, template, center, (along, across), noise[::-1], strict=True
            )
        ]
        (top, y, height), (left, x, width) = places
        boxes, ignored = (moved(each, 1, 1, left - x, top - y) for each in (boxes, ignored))
        about[:, 1] |= self._is_beyond(boxes, template)
        return (
            Prepared(
                listed, changes, mirrored, size, part, current, (top, left), (y, x), (height, width), boxes,
                about, ignored,
            ),
            template,
        )  # fmt: skip

    def _center(self, boxes: Floats, size: Size, template: Size) -> tuple[tuple[float, float], int]:
        """A point of the picture, row and column: the middle of a box that is drawn, if there is one."""
        if len(boxes):
            chosen = self._stream.raw() % len(boxes)
            x1, y1, x2, y2 = boxes[chosen]
            return (float((y1 + y2) / np.float32(2)), float((x1 + x2) / np.float32(2))), chosen
        center = [0.0, 0.0]
        for i in (1, 0):
            center[i] = size[i] / 2
            if template[i] <= size[i]:
                center[i] = self._stream.raw() % (size[i] - template[i] + 1) + template[i] / 2
        return (center[0], center[1]), -1

    def _factors(self, boxes: Floats, chosen: int) -> tuple[np.float32, np.float32]:
        """By how much the picture is scaled across and along."""
        p, one = self._param, np.float32(1)
        by_ratio = p.HasField("low_scale_ratio") and p.HasField("high_scale_ratio")
        by_scale = p.HasField("min_scale") and p.HasField("max_scale")
        acts = self._thread.bernoulli(1, float(np.float32(p.multiscale_prob)), np.float32)[0]
        if not (acts and (by_ratio or by_scale)):
            return one, one
        low = high = np.float32(1)
        if by_ratio:
            low, high = (np.log2(np.float32(n)) for n in (p.low_scale_ratio, p.high_scale_ratio))
        elif chosen >= 0:
            x1, y1, x2, y2 = boxes[chosen]
            scale = np.sqrt((x2 - x1 + one) * (y2 - y1 + one))
            low, high = (np.log2(np.float32(n) / scale) for n in (p.min_scale, p.max_scale))
        factor = np.float32(2) ** self._thread.uniform(1, float(low), float(high))[0]
        across = along = factor
        if p.HasField("min_whaspect") and p.HasField("max_whaspect"):
            low, high = (np.log2(np.float32(n)) for n in (p.min_whaspect, p.max_whaspect))
            root = np.sqrt(np.float32(2) ** self._thread.uniform(1, float(low), float(high))[0])
            across, along = factor * root, factor / root
        return np.float32(across), np.float32(along)

    def _is_beyond(self, boxes: Floats, template: Size) -> npt.NDArray[np.bool_]:
        """Boxes whose middle is outside of the item, or that are too small."""
        p = self._param
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        outside = (x < 0) | (x >= template[1]) | (y < 0) | (y >= template[0])
        w, h = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
        small: npt.NDArray[np.bool_] = (w < np.float32(p.min_gt_width)) | (h < np.float32(p.min_gt_height))
        return outside | small


def _by_turns(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], group: int
) -> npt.NDArray[np.int64]:
    """Groups of one list and of the other in turns, until one of them ends; then the rest."""
    lists, used, order = (first, second), [0, 0], list[int]()
    while all(n < len(own) for n, own in zip(used, lists, strict=True)):
        which = len(order) // group % 2
        order.append(int(lists[which][used[which]]))
        used[which] += 1
    rest = [own[n:] for n, own in zip(used, lists, strict=True)]
    return np.concatenate([np.array(order, np.int64), *rest])


def _mirrored(boxes: Floats, width: int) -> Floats:
    found: Floats = boxes.copy()
    found[:, 0], found[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return found


def _part_about(
    center: tuple[float, float], size: Size, factors: tuple[np.float32, np.float32]
) -> tuple[int, int, int, int]:
    """The part of a picture about a point that is enlarged: top, left, height, width."""
    starts, sides = [], []
    for middle, there, factor in zip(center, size, factors, strict=True):
        side = min(rounded(_MARGIN * there / float(factor)), there)
        start = max(rounded(middle - side * 0.5), 0)
        starts.append(start - max(start + side - there, 0))
        sides.append(side)
    return starts[0], starts[1], sides[0], sides[1]


def _placed(there: int, wanted: int, middle: float, noise: int) -> tuple[int, int, int]:
    """Along an axis: the first place in the item, the first in the picture, and how many are copied."""
    if there < wanted:
        start = rounded((wanted - there) / 2) + noise
        return min(max(start, 0), wanted - there), 0, there
    if there > wanted:
        start = rounded(middle) + noise - rounded(wanted / 2)
        return 0, min(max(start, 0), there - wanted), wanted
    return 0, 0, wanted


class DetectionWork:
    """The making of a batch: a piece for each picture. `others` gets label maps, then boxes, then sizes."""

    def __init__(
        self,
        plans: list[Prepared],
        size: Size,
        reader: PictureReader,
        param: caffe_pb2.DetectionDataParameter | None,
        state: bytes,
    ) -> None:
        self.pieces, self.state = len(plans), state
        self._plans, self._size, self._reader, self._param = plans, size, reader, param
        self._labels: list[list[Floats]] = [[] for _ in plans]
        self._items: list[Floats] = [np.empty((_CHANNELS, *size), np.float32) for _ in plans]

    def run(self, piece: int, batch: Batch) -> None:
        """Makes a picture and its labels."""
        plan = self._plans[piece]
        if plan.scaled != self._size and self._param is None:
            raise DataError(f"'{plan.listed.name}' has another size than the first picture of its batch")
        self._reader.make(plan, self._items[piece])
        if self._param is not None:
            sight = Sight(*plan.target, *plan.copied)
            self._labels[piece] = anchor_labels(
                self._param, self._size, sight, plan.boxes, plan.about, plan.ignored
            )

    def finish(self, batch: Batch) -> None:
        """Puts the items and the labels together."""
        batch.data = np.stack(self._items)
        maps = [np.stack(each) for each in zip(*self._labels, strict=True)] if self._param is not None else []
        batch.others = [*maps, truth(self._plans)]
        if self._param is None:
            sizes = [plan.scaled for plan in self._plans]
            batch.others.append(np.array(sizes, np.float32).reshape(-1, 2, 1, 1))

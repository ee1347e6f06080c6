"""AnnotatedSource: batches of a database's AnnotatedDatum records, pictures with boxes.

What a batch needs of random numbers is drawn when it is planned, in the order of the fork: of the thread's
stream that of distortion, expansion, samples, interpolation and noise, of the transformer's stream that of
mirroring and crops. The pictures are then made by several threads.

Source: weiliu89/caffe src/caffe/layers/annotated_data_layer.cpp, src/caffe/data_transformer.cpp
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import distortion, image, noise, resizing
from pycaffe_lite.data.annotations import Annotations, Floats
from pycaffe_lite.data.box_sampler import BoxSampler, draw_jittered
from pycaffe_lite.data.database import Reader, Record
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.data.prefetch import Batch, Work
from pycaffe_lite.data.records import RecordSource
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.data.transformer import Fit, Places, Shape, Transformer
from pycaffe_lite.errors import ArgumentError, DataError, PycaffeError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

ROW = 8  # numbers of a box: picture, group_label, instance_id, corners, difficult
YOLO_BOXES, YOLO_ROW = 300, 5  # of a picture: class, centre, width and height
_SPACE = 0x20  # the fork's canvas of raw records
_COLORS = 3
_STATE_BYTES = len(RandomStream(0).state())


class _Crop(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


class _Picture(NamedTuple):
    """What is done to the picture of a record before it is transformed.

    Attributes:
        key: of the record. datum: its picture.
        changes: of its colours; None: none are asked for.
        expansion: the canvas that it is put on, if any.
        crop: the part of that which is left; None: all.
    """

    key: Record
    datum: caffe_pb2.Datum
    changes: list[distortion.Change] | None
    expansion: distortion.Expansion | None
    crop: _Crop | None


class _Item(NamedTuple):
    """What is drawn for a record.

    Attributes:
        picture: what is done to it first.
        resize: how it is resized, if it is. mode: by which interpolation.
        noise: places of noise.
        fit, placed: what the transformer does to it.
        annotations: its boxes in the end.
    """

    picture: _Picture
    resize: caffe_pb2.ResizeParameter | None
    mode: int
    noise: noise.Places | None
    fit: Fit
    placed: Places
    annotations: Annotations


class AnnotatedSource(RecordSource):
    """Makes batches of pictures and their boxes, transformed, from the first record on.

    Args:
        reader: of the database.
        transformer: of the pictures, for crops, mirroring, mean and scale.
        batch_size: records of a batch.
        labels: whether the batches have labels.
        stream: of the thread, from which all else is drawn.
        param: the layer's annotated_data_param.
        share: which of the records are taken.
    """

    def __init__(
        self,
        reader: Reader,
        transformer: Transformer,
        batch_size: int,
        labels: bool,
        stream: RandomStream,
        param: caffe_pb2.AnnotatedDataParameter,
        share: Share = WHOLE,
    ) -> None:
        super().__init__(reader, transformer, batch_size, labels, share)
        self._stream = stream
        self._param = param
        self._transform = transformer.param
        self._sampler = BoxSampler(param.batch_sampler) if param.batch_sampler else None
        self._has_told_of_raw = False
        first = self._parse(reader.peek())
        self.has_boxes = first.HasField("type") or param.HasField("anno_type")

    # ------------------------------------------------------------------------------------------ the first one

    def shape(self) -> tuple[int, ...]:
        """Shape of the items that the next record gives."""
        key = self._reader.peek()
        record = self._parse(key)
        height, width, channels = self._shape_of(record, key)
        self._transformer.check_records(record.datum.encoded)
        if self._transformer.color is not None and not record.datum.encoded:
            log.error("force_color and force_gray are for encoded records: those of this database are not")
        resize = self._resize(0)
        if resize is not None:
            height, width = resizing.new_size(resize, height, width)
        return self._fit((channels, height, width), key).top_shape

    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels of the first record, as the fork gives it to the net at set-up."""
        if not self.has_boxes:
            return (self._batch_size, 1, 1, 1)
        if self._param.yolo_data_type == 1:
            return (self._batch_size, 1, YOLO_BOXES, YOLO_ROW)
        boxes = Annotations.of(self._parse(self._reader.peek())).boxes
        return (1, 1, max(len(boxes), 1), ROW)

    # ------------------------------------------------------------------------------------------------- states

    def state(self) -> bytes:
        """The key of the next record and both random streams."""
        return self._place() + self._stream.state() + self._transformer.state()

    def _set_streams(self, state: bytes) -> str:
        afresh = self._transformer.set_state(state[_STATE_BYTES:])
        try:
            self._stream.set_state(state[:_STATE_BYTES])
        except ArgumentError:
            return "; ".join(filter(None, [afresh, "its random samples and colours start afresh"]))
        return afresh

    # -------------------------------------------------------------------------------------------- the drawing

    def plan(self) -> Work:
        """Reads the records of the next batch, and draws what becomes of each.

        Raises:
            DataError: the database cannot be read, or a record is not what it must be.
        """
        records = self._read()
        resizes = self._transform.resize_param
        policy = 0
        if len(resizes) > 1:
            policy = self._roll([resize.prob for resize in resizes])
        items = [self._draw(key, self._resize(policy)) for key in records]
        return _AnnotatedWork(items, self, self.state())

    def _resize(self, policy: int) -> caffe_pb2.ResizeParameter | None:
        resizes = self._transform.resize_param
        return resizes[policy] if resizes else None

    def _roll(self, weights: Sequence[float]) -> int:
        """An index, drawn by weights: where a value of 0 to their sum falls."""
        sums = np.cumsum(weights, dtype=np.float32)
        return int(np.searchsorted(sums, self._stream.uniform(1, 0, float(sums[-1]))[0]))

    def _draw(self, key: Record, resize: caffe_pb2.ResizeParameter | None) -> _Item:
        record = self._parse(key)
        if self.has_boxes and not (record.HasField("type") or self._param.HasField("anno_type")):
            raise DataError(f"{self.name(key)} has no type, as the first record has: give anno_type")
        transform, emit = self._transform, self._emit
        height, width, channels = self._shape_of(record, key)
        boxes = Annotations.of(record)
        changes = None
        if transform.HasField("distort_param"):
            if record.datum.encoded:
                changes = distortion.draw_changes(transform.distort_param, self._stream)
            elif not self._has_told_of_raw:
                self._has_told_of_raw = True
                log.error("distort_param is for encoded records: those of this database are not")
        expansion = None
        if transform.HasField("expand_param"):
            expansion = distortion.draw_expansion(transform.expand_param, height, width, self._stream)
        if expansion is not None:
            self._check_canvas(expansion, key)
            boxes = boxes.within(expansion.box(height, width), emit)
            height, width = expansion.height, expansion.width
        crop = None
        part = self._sample(boxes)
        if part is not None:
            crop = _pixels_of(part.clip(0, 1), height, width)
            if not (crop.height and crop.width):
                raise DataError(f"{self.name(key)}: a sample of it has no pixels: use larger pictures")
            boxes = boxes.within(part.clip(0, 1), emit)
            size = crop.height, crop.width
        else:
            size = height, width
        # The fork resizes boxes by the sizes that the record states, where it has not made a new picture.
        stated = size
        if changes is None and expansion is None and crop is None:
            stated = record.datum.height or size[0], record.datum.width or size[1]
        picture = _Picture(key, record.datum, changes, expansion, crop)
        return self._draw_transform(picture, (channels, *size), stated, resize, boxes)

    def _check_canvas(self, expansion: distortion.Expansion, key: Record) -> None:
        """Refuses a canvas of more pixels than a picture may have."""
        if expansion.height * expansion.width > image.max_pixels():
            raise DataError(
                f"{self.name(key)} would get a canvas of {expansion.height} x {expansion.width}, more than "
                f"{image.max_pixels()} pixels: lower max_expand_ratio"
            )

    def _draw_transform(
        self,
        picture: _Picture,
        shape: Shape,
        stated: tuple[int, int],
        resize: caffe_pb2.ResizeParameter | None,
        boxes: Annotations,
    ) -> _Item:
        """Draws what the transformer needs, and carries the boxes through it.

        Args:
            picture: with what is done to it before. shape: (C, H, W), of what it is then.
            stated: height and width by which the boxes are resized.
            resize: how the picture is, if it is. boxes: those that are left.
        """
        mode, places = caffe_pb2.ResizeParameter.LINEAR, None
        height, width = shape[1:]
        if resize is not None:
            height, width = resizing.new_size(resize, height, width)
            modes = resize.interp_mode
            if modes:
                mode = modes[self._roll([1 / len(modes)] * len(modes))]
        if self._transform.HasField("noise_param"):
            places = noise.draw_places(self._transform.noise_param, height, width, self._stream)
        fit = self._fit((shape[0], height, width), picture.key)
        placed = self._transformer.places(fit, self._transformer.draw(1))
        if self.has_boxes:
            _, tall, wide = fit.top_shape
            top, left = int(placed.rows[0]), int(placed.columns[0])
            corners = np.array([left, top, left + wide, top + tall], np.float32)
            part = np.array(corners / [width, height, width, height], np.float32)
            if resize is not None:
                boxes = boxes.resized(resize, *stated)
            boxes = boxes.within(part, self._emit)
            if placed.mirrored[0]:
                boxes = boxes.mirrored()
            if resize is not None:
                boxes = boxes.relative_to_scale(resize, *stated, part)
        return _Item(picture, resize, mode, places, fit, placed, boxes)

    @property
    def _emit(self) -> caffe_pb2.EmitConstraint | None:
        transform = self._transform
        return transform.emit_constraint if transform.HasField("emit_constraint") else None

    def _sample(self, boxes: Annotations) -> Floats | None:
        """The part of the picture that a sampler finds; None if there is none."""
        if self._param.yolo_data_type == 1:
            part = draw_jittered(self._param.yolo_data_jitter, self._stream)
            self._stream.raw()  # which of this one part is taken
            return part
        if self._sampler is None:
            return None
        parts = self._sampler.draw(boxes.boxes, self._stream)
        return parts[self._stream.below(len(parts))] if len(parts) else None

    # --------------------------------------------------------------------------------------------- the making

    def make(self, item: _Item, out: npt.NDArray[np.float32]) -> None:
        """Makes an item's values, (C, h, w).

        Raises:
            DataError: its picture cannot be read, or is not of a kind for what is asked for.
        """
        if item.picture.datum.encoded or item.picture.datum.data:
            pixels = self._made(item)
            planes: Values = pixels.transpose(2, 0, 1)
        else:
            planes = self._floats(item)
        self._transformer.apply_to_one(planes, item.placed, 0, out)

    def _made(self, item: _Item) -> Pixels:
        """The pixels of a picture of bytes, (H, W, C), as the transformer takes them."""
        picture, encoded = item.picture, item.picture.datum.encoded
        pixels = self._pixels(picture.datum)
        if picture.changes is not None:
            pixels = self._encoded_again(distortion.changed(pixels, picture.changes))
        if picture.expansion is not None:
            fill = (list(self._transform.mean_value) or [0]) if encoded else [_SPACE]
            pixels = distortion.expanded(pixels, picture.expansion, fill)
            pixels = self._encoded_again(pixels) if encoded else pixels
        if picture.crop is not None:
            top, left, height, width = picture.crop
            pixels = np.ascontiguousarray(pixels[top : top + height, left : left + width])
            pixels = self._encoded_again(pixels) if encoded else pixels
        if self._transform.cvt_bgr2rgb and encoded and pixels.shape[2] == _COLORS:
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        if item.resize is not None:
            pixels = resizing.resized(np.ascontiguousarray(pixels), item.resize, item.mode)
        if self._transform.HasField("noise_param"):
            pixels = noise.noisy(np.ascontiguousarray(pixels), self._transform.noise_param, item.noise)
        return pixels

    def _encoded_again(self, pixels: Pixels) -> Pixels:
        """A picture as it comes out of the JPEG that the fork makes of it between two steps."""
        return image.decode(noise.jpeg_of(pixels), self._transformer.color).pixels

    def _pixels(self, datum: caffe_pb2.Datum) -> Pixels:
        if datum.encoded:
            return image.decode(datum.data, self._transformer.color, from_memory=True).pixels
        values = self._shaped(datum, np.frombuffer(datum.data, np.uint8))
        pixels: Pixels = np.ascontiguousarray(values.transpose(1, 2, 0))
        return pixels

    def _floats(self, item: _Item) -> Values:
        """What is left of a record of floats, (C, H, W)."""
        _, datum, _, expansion, crop = item.picture
        if expansion is not None or item.resize is not None or self._transform.HasField("noise_param"):
            raise DataError("expand_param, resize_param and noise_param are for records of bytes")
        values = self._shaped(datum, np.array(datum.float_data, np.float32))
        if crop is None:
            return values
        top, left, height, width = crop
        part: Values = values[:, top : top + height, left : left + width]
        return part

    @staticmethod
    def _shaped(datum: caffe_pb2.Datum, values: Values) -> Values:
        shape = (datum.channels, datum.height, datum.width)
        if min(shape) < 1 or values.size != shape[0] * shape[1] * shape[2]:
            raise DataError(f"says shape {shape}, but holds {values.size} values")
        return values.reshape(shape)

    def labels_of(self, items: list[_Item]) -> Floats:
        """The labels of a batch, of the shape that their kind has."""
        if not self._has_labels:
            return np.empty(0, np.float32)
        if not self.has_boxes:
            labels = [item.picture.datum.label for item in items]
            return np.array(labels, np.float32).reshape(-1, 1, 1, 1)
        if self._param.yolo_data_type == 1:
            return self._yolo_labels(items)
        rows = [
            np.column_stack([np.full(len(own.boxes), n), own.about[:, :2], own.boxes, own.about[:, 2]])
            for n, own in enumerate(item.annotations for item in items)
        ]
        found = np.concatenate(rows).astype(np.float32)
        return (found if len(found) else np.full((1, ROW), -1, np.float32)).reshape(1, 1, -1, ROW)

    def _yolo_labels(self, items: list[_Item]) -> Floats:
        """Class, counted from 0, centre, width and height of the first boxes; of those that are wanted."""
        labels = np.zeros((len(items), 1, YOLO_BOXES, YOLO_ROW), np.float32)
        for n, item in enumerate(items):
            wanted = (item.annotations.about[:, 2] == 0) | self._param.train_diffcult
            about, boxes = (
                item.annotations.about[wanted][:YOLO_BOXES],
                item.annotations.boxes[wanted][:YOLO_BOXES],
            )
            labels[n, 0, : len(boxes), 0] = about[:, 0] - 1
            labels[n, 0, : len(boxes), 1:3] = (boxes[:, :2] + boxes[:, 2:]) / 2
            labels[n, 0, : len(boxes), 3:] = boxes[:, 2:] - boxes[:, :2]
        return labels

    # --------------------------------------------------------------------------------------------- one record

    def _parse(self, key: Record) -> caffe_pb2.AnnotatedDatum:
        try:
            return caffe_pb2.AnnotatedDatum.FromString(key[1])
        except Exception:
            raise DataError(f"{self.name(key)} is not an AnnotatedDatum") from None

    def _shape_of(self, record: caffe_pb2.AnnotatedDatum, key: Record) -> tuple[int, int, int]:
        """Height, width and channels of the picture itself."""
        datum = record.datum
        if not datum.encoded:
            return datum.height, datum.width, datum.channels
        try:
            return image.shape(datum.data, self._transformer.color)
        except PycaffeError as error:
            raise DataError(f"{self.name(key)}: {error}") from None

    def _fit(self, shape: Shape, key: Record) -> Fit:
        try:
            return self._transformer.fit(shape)
        except DataError as error:
            raise DataError(f"{self.name(key)}: {error}") from None


def _pixels_of(part: Floats, height: int, width: int) -> _Crop:
    """A part of the unit square in pixels; corners and sides lose their fractions."""
    x, y, right, bottom = part * np.array([width, height, width, height], np.float32)
    return _Crop(int(y), int(x), int(bottom - y), int(right - x))


class _AnnotatedWork:
    """The making of a batch: each picture is a piece, the labels come last."""

    def __init__(self, items: list[_Item], source: AnnotatedSource, state: bytes) -> None:
        self.pieces = len(items)
        self.state = state
        self._items = items
        self._source = source
        self._has_room = threading.Event()

    def run(self, piece: int, batch: Batch) -> None:
        """Makes a picture."""
        item, first = self._items[piece], self._items[0]
        if piece == 0:
            try:
                batch.make_room((self.pieces, *first.fit.top_shape), len(batch.labels))
            finally:
                self._has_room.set()
        self._has_room.wait()
        key = item.picture.key
        if item.fit.top_shape != first.fit.top_shape:
            raise self._source.other_shape(key, item.fit, first.picture.key, first.fit)
        try:
            self._source.make(item, batch.data[piece])
        except DataError as error:
            raise DataError(f"{self._source.name(key)}: {error}") from None

    def finish(self, batch: Batch) -> None:
        """Makes the labels."""
        batch.labels = self._source.labels_of(self._items)

"""PairSource: batches of pictures and of the labels of their pixels, which are pictures, too.

Source: alexgkendall/caffe-segnet src/caffe/layers/dense_image_data_layer.cpp; hszhao/PSPNet
src/caffe/layers/image_seg_data_layer.cpp and src/caffe/data_transformer.cpp
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image, resizing
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.data.image_list import ImageList
from pycaffe_lite.data.pictures import PictureSource
from pycaffe_lite.data.prefetch import Batch, Work
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.data.transformer import Draws, Shape, Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import read_regular
from pycaffe_lite.random import RandomStream

_LARGEST_LIST = 1 << 32  # bytes
_HALF_OF_BYTES = 128
# Of a balanced crop: the greatest share of one label, and how often it is drawn again at most.
_MOST, _MOST_REDRAWS = 0.8, 10
_NEAREST, _LINEAR = caffe_pb2.ResizeParameter.NEAREST, caffe_pb2.ResizeParameter.LINEAR


class Labels(Enum):
    """What a list has behind each picture: nothing, its class, or a picture of the classes of its pixels."""

    NONE = "NONE"
    IMAGE = "IMAGE"
    PIXEL = "PIXEL"


def read_pairs(path: Path, labels: Labels) -> tuple[ImageList, list[str]]:
    """Reads a list of pictures and of what stands behind each, with blanks between.

    Returns:
        The pictures, whose labels are all 0; and the second words, empty for NONE.

    Raises:
        FileLookupError: there is no such file. DataError: it cannot be read, or a line has no second word.
    """
    content = read_regular(path, _LARGEST_LIST, "a list of pictures", error=DataError)
    names, others = [], []
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if labels is not Labels.NONE and len(words) < 2:
            raise DataError(f"line {number} of '{path}' has no label behind the picture: '{line}'")
        names.append(words[0])
        others.append(words[1] if labels is not Labels.NONE else "")
    if not names:
        raise DataError(f"the list '{path}' is empty: write a line for each picture")
    return ImageList(path, names, np.zeros(len(names), np.int32), zlib.crc32(content)), others


class PairTransform:
    """Mirrors, scales, pads and crops a picture and its labels alike; then y = (x - mean) scale.

    Args:
        param: the layer's transform_param.
        phase: crops are drawn in TRAIN, and the centre in TEST.
        crop: height and width of the crops; 0 and 0 for none.
        ignore_label: of pixels that are added on the right and below, where a picture is smaller than a crop.
        factors: one of which a picture is scaled by, drawn.
    """

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int,
        crop: tuple[int, int] = (0, 0),
        ignore_label: int = 255,
        factors: tuple[float, ...] = (),
    ) -> None:
        self.param, self.crop, self.factors = param, crop, factors
        self.ignore_label = ignore_label
        self._random_crop = any(crop) and phase == caffe_pb2.TRAIN
        self.draws = param.mirror + bool(factors) + 2 * self._random_crop

    def apply(
        self, pixels: Pixels, labels: Pixels, draws: npt.NDArray[np.uint32]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The part of a picture, (h, w, C), and of its labels, (h, w), that is left.

        Args:
            pixels: (H, W, C). labels: (H, W). draws: of this picture, (draws,).
        """
        left = draws.tolist()
        if self.param.mirror and left.pop(0) % 2:
            pixels, labels = pixels[:, ::-1], labels[:, ::-1]
        if self.factors:
            factor = np.float32(self.factors[left.pop(0) % len(self.factors)])
            size = [int(np.float32(n) * factor) for n in labels.shape]
            if min(size) < 1:
                raise DataError(
                    f"scale_factors {factor:g} leaves nothing of {labels.shape[0]} x {labels.shape[1]}"
                )
            pixels = resizing.scaled(np.ascontiguousarray(pixels), size[0], size[1], _LINEAR)
            shaped = np.ascontiguousarray(labels)[..., None]
            labels = resizing.scaled(shaped, size[0], size[1], _NEAREST)[..., 0]
        if not any(self.crop):
            return pixels, labels
        pixels, labels = self._padded(pixels, labels)
        room = labels.shape[0] - self.crop[0], labels.shape[1] - self.crop[1]
        y, x = (left.pop(0) % (n + 1) if self._random_crop else n // 2 for n in room)
        part = slice(y, y + self.crop[0]), slice(x, x + self.crop[1])
        return pixels[part], labels[part]

    def _padded(self, pixels: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
        H, W = labels.shape
        below, right = max(self.crop[0] - H, 0), max(self.crop[1] - W, 0)
        if not (below or right):
            return pixels, labels
        canvas: Pixels = np.empty((H + below, W + right, pixels.shape[2]), np.uint8)
        canvas[:] = np.rint(list(self.param.mean_value) or [0]).clip(0, 255)
        canvas[:H, :W] = pixels
        wider = np.pad(labels, [(0, below), (0, right)], constant_values=self.ignore_label)
        return canvas, wider


class LabelmapTransform(PairTransform):
    """Mirrors and crops a picture and its map of labels alike, at random in TEST, too; as HED's fork.

    Args:
        param, phase, crop: as for PairTransform.
        normalize: whether labels become 0 and 1: 1 from 128 on, as values divided by 255 are rounded.
    """

    def __init__(
        self,
        param: caffe_pb2.TransformationParameter,
        phase: int,
        crop: tuple[int, int],
        normalize: bool,
    ) -> None:
        super().__init__(param, caffe_pb2.TRAIN, crop)
        self._normalize = normalize

    def apply(self, pixels: Pixels, labels: Pixels, draws: npt.NDArray[np.uint32]) -> tuple[Pixels, Pixels]:
        """The part of a picture, (h, w, C), and of its labels, (h, w), that is left."""
        left = draws.tolist()
        mirrored = bool(self.param.mirror and left.pop(0) % 2)
        if any(self.crop):
            rooms = [there - wanted for wanted, there in zip(self.crop, labels.shape, strict=True)]
            if min(rooms) < 0:
                raise DataError(
                    f"a crop of {self.crop[0]} x {self.crop[1]} does not fit {labels.shape[0]} x "
                    f"{labels.shape[1]}"
                )
            y, x = (left.pop(0) % (room + 1) for room in rooms)
            part = slice(y, y + self.crop[0]), slice(x, x + self.crop[1])
            pixels, labels = pixels[part], labels[part]
        if mirrored:
            pixels, labels = pixels[:, ::-1], labels[:, ::-1]
        return pixels, (labels >= _HALF_OF_BYTES).astype(np.uint8) if self._normalize else labels


class StridedTransform(PairTransform):
    """Mirrors, scales and crops a picture and its labels alike, to sides that are multiples of a number.

    As TSN's fork: by a factor between two `scale_ratios`, in steps of a thousandth; the crop is as large as
    its bounds allow; all is drawn in TEST, too.

    Args:
        param: the layer's transform_param.
    """

    def __init__(self, param: caffe_pb2.TransformationParameter) -> None:
        super().__init__(param, caffe_pb2.TRAIN)
        ratios = [np.float32(ratio) for ratio in param.scale_ratios]
        # With another number of ratios, none has an effect.
        self._least, self._most = ratios if len(ratios) == 2 else (np.float32(1), np.float32(1))
        if not 0 < self._least <= self._most:
            raise DataError(f"needs 0 < scale_ratios[0] <= scale_ratios[1], got {list(param.scale_ratios)}")
        if param.stride < 1:
            raise DataError(f"needs a stride above 0, got {param.stride}")
        self.draws = param.mirror + 3

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the crop of a picture of a size.

        Raises:
            DataError: nothing would be left.
        """
        param = self.param
        sides = [side // param.stride * param.stride for side in (height, width)]
        if param.HasField("upper_size"):
            sides = [min(side, param.upper_size) for side in sides]
        elif param.HasField("upper_height") and param.HasField("upper_width"):
            sides = [min(sides[0], param.upper_height), min(sides[1], param.upper_width)]
        if min(sides) < 1:
            raise DataError(f"a picture of {height} x {width} is smaller than stride {param.stride}")
        return sides[0], sides[1]

    def apply(self, pixels: Pixels, labels: Pixels, draws: npt.NDArray[np.uint32]) -> tuple[Pixels, Pixels]:
        """The part of a picture, (h, w, C), and of its labels, (h, w), that is left."""
        left = draws.tolist()
        mirrored = bool(self.param.mirror and left.pop(0) % 2)
        steps = int(float(self._most - self._least) * 1000) + 1
        factor = np.float32(left.pop(0) % steps / 1000 + float(self._least))
        height, width = (int(float(np.float32(n) * factor) + 0.5) for n in labels.shape)
        crop = self.size(height, width)
        pixels = resizing.scaled(np.ascontiguousarray(pixels), height, width, _LINEAR)
        labels = resizing.scaled(np.ascontiguousarray(labels)[..., None], height, width, _NEAREST)[..., 0]
        y, x = left.pop(0) % (height - crop[0] + 1), left.pop(0) % (width - crop[1] + 1)
        part = slice(y, y + crop[0]), slice(x, x + crop[1])
        pixels, labels = pixels[part], labels[part]
        return (pixels[:, ::-1], labels[:, ::-1]) if mirrored else (pixels, labels)


class _Pair(NamedTuple):
    """What of a picture goes into a batch: pixels, (h, w, C), labels, (h, w); height and width before."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    size: tuple[int, int]


class PairSource(PictureSource):
    """Makes batches of pictures and labels, transformed alike; the order is that of PictureSource.

    Args:
        pictures, others: what `read_pairs` has found. labels: of which kind they are.
        locate: from a name of the list to the file.
        transformer: for mean and scale; it draws nothing.
        stream: from which the draws of `pairs` come, if there are any.
        batch_size, color, size, shuffler_seed, start, share: as for PictureSource.
        smooth: whether labels are resized like pictures.
        pairs: what is done to each picture and its labels.
    """

    def __init__(
        self,
        pictures: ImageList,
        others: list[str],
        labels: Labels,
        locate: Callable[[str], Path],
        transformer: Transformer,
        stream: RandomStream,
        batch_size: int,
        color: bool,
        size: tuple[int, int] | None,
        shuffler_seed: int | None,
        start: int,
        smooth: bool,
        pairs: PairTransform,
        share: Share = WHOLE,
    ) -> None:
        super().__init__(
            pictures, locate, transformer, batch_size, color, size, shuffler_seed, start, share=share
        )
        self._others, self._labels, self._smooth = others, labels, smooth
        self._pairs, self._stream = pairs, stream
        self.most = tuple(n or np.inf for n in pairs.crop)  # of the heights and widths that are told

    def shape(self) -> Shape:
        """Shape of the items that the next picture gives."""
        pair = self.pair(int(self._order[self._next]), np.zeros(self._pairs.draws, np.uint32))
        return (pair.pixels.shape[2], *pair.labels.shape)

    def state(self) -> bytes:
        """Which picture comes next in which order, and the stream of what is drawn."""
        return super().state() + (self._stream.state() if self._pairs.draws else b"")

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken; returns what starts afresh instead, in words."""
        size = len(self._stream.state()) if self._pairs.draws else 0
        place = state[: len(state) - size] if size else state
        afresh = super().set_state(place)
        if size and len(state) >= size:
            self._stream.set_state(state[-size:])
        return afresh

    def plan(self) -> Work:
        """Takes the next pictures of the list, and draws what becomes of them."""
        lines = self._next_lines()
        draws = self._draws_for(lines)
        return _PairWork(lines, draws, self, self.state())

    def _draws_for(self, lines: list[int]) -> Draws:
        """What is drawn for the pictures of some lines: (lines, draws)."""
        return self._stream.raw_array(len(lines) * self._pairs.draws).reshape(len(lines), -1)

    def pair(self, line: int, draws: npt.NDArray[np.uint32]) -> _Pair:
        """A picture of a line, counted from 0, with its labels.

        Raises:
            FileLookupError, DataError: one of them cannot be read, or they differ in size.
        """
        planes = self.read(line).resized()
        pixels: Pixels = np.ascontiguousarray(planes.transpose(1, 2, 0)).astype(np.uint8, copy=False)
        labels = self._labels_of(line, pixels.shape[:2])
        try:
            made, own = self._pairs.apply(pixels, labels, draws)
        except DataError as error:
            raise DataError(f"{self.name(line)}: {error}") from None
        return _Pair(made, own, (pixels.shape[0], pixels.shape[1]))

    def _labels_of(self, line: int, size: tuple[int, ...]) -> Pixels:
        """The classes of the pixels of a picture, (H, W)."""
        other, place = self._others[line], self._pictures.place(line)
        if self._labels is Labels.NONE:
            return np.full(size, self._pairs.ignore_label, np.uint8)
        if self._labels is Labels.IMAGE:
            try:
                return np.full(size, int(other) & 255, np.uint8)
            except ValueError:
                raise DataError(f"{place} has no number behind the picture: '{other}'") from None
        try:
            found = image.read(self._locate(other), False).pixels
        except (DataError, FileLookupError) as error:
            raise type(error)(f"{place}: {error}") from None
        if self._size is not None:
            found = resizing.scaled(found, *self._size, _LINEAR if self._smooth else _NEAREST)
        if found.shape[:2] != size:
            raise DataError(
                f"{place}: '{self._pictures.names[line]}' is {size[0]} x {size[1]}, its labels '{other}' are "
                f"{found.shape[0]} x {found.shape[1]}: make both of one size"
            )
        return found[..., 0]

    def values_of(self, pair: _Pair, out: npt.NDArray[np.float32]) -> None:
        """Subtracts the mean and multiplies with the scale.  out: (C, h, w)."""
        planes = pair.pixels.transpose(2, 0, 1)
        fit = self._transformer.fit((planes.shape[0], planes.shape[1], planes.shape[2]))
        np.subtract(planes, fit.mean, out=out, dtype=np.float32)
        out *= np.float32(self._transformer.param.scale)


class SegSource(PairSource):
    """As PairSource, one picture a batch, whose size follows from the picture's.

    A crop of which more than `_MOST` have one label is drawn again, if this is asked for.

    Args:
        pictures, others, locate, transformer, stream, shuffler_seed: as for PairSource.
        pairs: what is done to each picture and its labels. balance: whether crops are drawn again.
    """

    def __init__(
        self,
        pictures: ImageList,
        others: list[str],
        locate: Callable[[str], Path],
        transformer: Transformer,
        stream: RandomStream,
        shuffler_seed: int | None,
        pairs: StridedTransform,
        balance: bool,
    ) -> None:
        super().__init__(
            pictures, others, Labels.PIXEL, locate, transformer, stream, 1, True, None, shuffler_seed, 0,
            False, pairs,
        )  # fmt: skip
        self._strided, self._balance = pairs, balance

    def shape(self) -> Shape:
        """Shape of the next picture, before it is scaled."""
        C, H, W = self.read(int(self._order[self._next])).values.shape
        return (C, *self._strided.size(H, W))

    def _draws_for(self, lines: list[int]) -> Draws:
        draws = super()._draws_for(lines)
        if not self._balance:
            return draws
        size = self.read(lines[0]).values.shape[1:]
        labels = self._labels_of(lines[0], size)
        nothing: Pixels = np.empty((*size, 1), np.uint8)
        for _ in range(_MOST_REDRAWS):
            _, part = self._strided.apply(nothing, labels, draws[0])
            if np.bincount(part.ravel()).max() <= _MOST * part.size:
                break
            draws = super()._draws_for(lines)
        return draws


class _PairWork:
    """The making of a batch: a piece for each picture. Behind the labels come heights and widths."""

    def __init__(self, lines: list[int], draws: Draws, source: PairSource, state: bytes) -> None:
        self.pieces = len(lines)
        self.state = state
        self._lines, self._draws, self._source = lines, draws, source
        self._pairs: list[_Pair | None] = [None] * len(lines)
        self._has_room = threading.Event()

    def run(self, piece: int, batch: Batch) -> None:
        """Makes a picture and keeps its labels."""
        try:
            pair = self._source.pair(self._lines[piece], self._draws[piece])
            self._pairs[piece] = pair
            if piece == 0:
                shape = (self.pieces, pair.pixels.shape[2], *pair.labels.shape)
                batch.make_room(shape, len(batch.labels))
        finally:
            if piece == 0:
                self._has_room.set()
        self._has_room.wait()
        first = self._pairs[0]
        if first is None:  # it could not be read: that is what is told
            return
        if pair.labels.shape != first.labels.shape:
            raise DataError(
                f"{self._source.name(self._lines[piece])} has size {pair.labels.shape}, the first of the "
                f"batch {first.labels.shape}: give new sizes or crops, or batch_size 1"
            )
        self._source.values_of(pair, batch.data[piece])

    def finish(self, batch: Batch) -> None:
        """Puts the labels together: (N, 1, h, w)."""
        pairs = [pair for pair in self._pairs if pair is not None]
        batch.labels = np.stack([pair.labels for pair in pairs])[:, None].astype(np.float32)
        most = self._source.most
        sizes = [[min(n, m) for n, m in zip(pair.size, most, strict=True)] for pair in pairs]
        batch.sizes = np.array(sizes, np.float32).reshape(-1, 1, 1, 2)

"""WindowSource: batches of windows that are cut out of pictures, as R-CNN trains on them."""

from __future__ import annotations

import logging
import math
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.transformer import Shape
from pycaffe_lite.data.window_list import WindowList
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.kernels import transform
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
F = np.float32

_CHANNELS = 3
# State: checksum of the list; the sampler's stream follows.
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True)
class Cutting:
    """How windows are cut out and what becomes of their pixels.

    Attributes:
        size: rows and columns of what is made of a window.
        context_pad: pixels of it, on each side, that show what is around the window.
        square: whether the window is widened to a square first.
        mirror: whether half of the windows are mirrored.
        scale: factor of each value, after the mean is subtracted.
        mean: (3, H, W), of which the middle is subtracted, or (3, 1, 1).
    """

    size: int
    context_pad: int
    square: bool
    mirror: bool
    scale: float
    mean: Floats

    def mean_at(self, row: int, column: int, height: int, width: int) -> Floats:
        """The part of the mean that is subtracted there. Caffe centres it by its width in both directions."""
        if self.mean.shape[1:] == (1, 1):
            return self.mean
        offset = (self.mean.shape[2] - self.size) // 2
        row, column = row + offset, column + offset
        return np.ascontiguousarray(self.mean[:, row : row + height, column : column + width])


class Place(NamedTuple):
    """Where the pixels of a window come from, and where they go.

    Attributes:
        x1, y1, x2, y2: the part of the picture, the last column and row included.
        height, width: to which this part is resized.
        row, column: at which it lies in the item.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    height: int
    width: int
    row: int
    column: int


def place(
    box: tuple[int, int, int, int], picture: tuple[int, int], cutting: Cutting, mirrored: bool
) -> Place:
    """What of a picture a window shows, with its context, and where in the item; in float32, as in Caffe.

    Args:
        box: x1, y1, x2, y2 of the window, the last column and row included.
        picture: its height and width.
        cutting: size, context_pad and square count.
        mirrored: whether the item is mirrored.
    """
    x1, y1, x2, y2 = box
    size = cutting.size
    if not (cutting.context_pad or cutting.square):
        return Place(x1, y1, x2, y2, size, size, 0, 0)
    H, W = picture
    context = F(size) / F(size - 2 * cutting.context_pad)
    half_height, half_width = F(y2 - y1 + 1) / F(2), F(x2 - x1 + 1) / F(2)
    x, y = F(x1) + half_width, F(y1) + half_height
    if cutting.square:
        half_height = half_width = max(half_height, half_width)
    x1, x2 = _round(x - half_width * context), _round(x + half_width * context)
    y1, y2 = _round(y - half_height * context), _round(y + half_height * context)
    scale_x, scale_y = F(size) / F(x2 - x1 + 1), F(size) / F(y2 - y1 + 1)
    left, top = max(0, -x1), max(0, -y1)
    right, bottom = max(0, x2 - W + 1), max(0, y2 - H + 1)
    x1, y1, x2, y2 = x1 + left, y1 + top, x2 - right, y2 - bottom
    row = _round(F(top) * scale_y)
    column = _round(F(right if mirrored else left) * scale_x)
    height = min(_round(F(y2 - y1 + 1) * scale_y), size - row)
    width = min(_round(F(x2 - x1 + 1) * scale_x), size - column)
    return Place(x1, y1, x2, y2, height, width, row, column)


def _round(value: np.float32) -> int:
    """To the nearest whole number, halves away from zero."""
    number = float(value)
    return int(math.copysign(math.floor(abs(number) + 0.5), number))


class WindowSource:
    """Makes batches of windows drawn from a list: first some of the background, then some of objects.

    Args:
        windows: the list.
        locate: from a name of the list to the file.
        cutting: what becomes of each window.
        batch_size: windows of a batch.
        foreground: how many of them show objects.
        sampler: the stream that windows and their mirroring are drawn from.
        cache: whether the pictures' files are kept in memory once they are read.

    Raises:
        DataError: Pillow is missing, without which no picture can be read.
    """

    def __init__(
        self,
        windows: WindowList,
        locate: Callable[[str], Path],
        cutting: Cutting,
        batch_size: int,
        foreground: int,
        sampler: RandomStream,
        cache: bool,
    ) -> None:
        image.check_pillow("reading pictures")
        self._windows = windows
        self._locate = locate
        self._cutting = cutting
        self._background = batch_size - foreground
        self._batch_size = batch_size
        self._sampler = sampler
        self._files: dict[str, tuple[Path, bytes]] | None = {} if cache else None
        self._is_readable: dict[str, bool] = {}  # what is known of the pictures

    def shape(self) -> Shape:
        """Shape of the items."""
        return _CHANNELS, self._cutting.size, self._cutting.size

    def state(self) -> bytes:
        """Where the sampler stands, and of which list."""
        return _CHECKSUM.pack(self._windows.checksum) + self._sampler.state()

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, if the list is the same.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        size = _CHECKSUM.size
        if state[:size] != _CHECKSUM.pack(self._windows.checksum):
            return (
                f"its windows are drawn afresh: '{self._windows.path}' has changed since the state was saved"
            )
        try:
            self._sampler.set_state(state[size:])
        except ArgumentError as error:
            return f"its windows are drawn afresh: {error}"
        return ""

    def plan(self) -> WindowWork:
        """Draws the windows of the next batch, as Caffe does: up to one whose picture cannot be read."""
        chosen: list[tuple[bool, int, bool]] = []
        for i in range(self._batch_size):
            is_object = i >= self._background
            kind = self._windows.foreground if is_object else self._windows.background
            index = self._sampler.below(len(kind.pictures))
            mirrored = self._cutting.mirror and self._sampler.below(2) == 1
            chosen.append((is_object, index, mirrored))
            if not self._has_picture(self._windows.names[kind.pictures[index]]):
                break
        return WindowWork(self, chosen, self._batch_size, self.state())

    def _has_picture(self, name: str) -> bool:
        """Whether a picture can be read; looks once."""
        if name not in self._is_readable:
            try:
                self._is_readable[name] = image.is_readable(self._locate(name))
            except FileLookupError:
                self._is_readable[name] = False
        return self._is_readable[name]

    def cut(self, is_object: bool, index: int, mirrored: bool, out: Floats) -> int:
        """Cuts out a window.

        Args:
            is_object: of which kind it is. index: which one of these. mirrored: whether it is mirrored.
            out: (3, size, size) zeros, overwritten where the picture is.

        Returns:
            The window's label.

        Raises:
            UnreadablePictureError: its picture cannot be read.
            DataError: nothing of the window is in the picture, or, where context_pad and square are not
                asked for, not all of it.
        """
        kind = self._windows.foreground if is_object else self._windows.background
        name = self._windows.names[kind.pictures[index]]
        pixels = self._picture(name)
        left, top, right, bottom = kind.boxes[index].tolist()
        box = left, top, right, bottom
        H, W = pixels.shape[:2]
        p = place(box, (H, W), self._cutting, mirrored)
        inside = 0 <= p.x1 <= p.x2 < W and 0 <= p.y1 <= p.y2 < H
        if not inside or min(p.height, p.width) < 1:
            why = "leaves nothing of it" if inside else "does not lie inside the picture"
            raise DataError(
                f"'{self._windows.path}': window {' '.join(map(str, box))} of picture '{name}', which has "
                f"{W} x {H} pixels, {why}"
            )
        part = np.ascontiguousarray(pixels[p.y1 : p.y2 + 1, p.x1 : p.x2 + 1])
        part = image.resize(part, p.height, p.width)
        if mirrored:
            part = part[:, ::-1]
        values = np.empty((_CHANNELS, p.height, p.width), F)
        mean = self._cutting.mean_at(p.row, p.column, p.height, p.width)
        transform.picture(np.ascontiguousarray(part), mean, F(self._cutting.scale), 0, 0, 0, values)
        out[:, p.row : p.row + p.height, p.column : p.column + p.width] = values
        return int(kind.labels[index])

    def _picture(self, name: str) -> image.Pixels:
        try:
            if self._files is None:
                return image.read(self._locate(name), True).pixels
            if name not in self._files:
                path = self._locate(name)
                self._files[name] = path, image.read_bytes(path)
            path, encoded = self._files[name]
            return image.decode_file(path, encoded, True, from_memory=True).pixels
        except (DataError, FileLookupError) as error:
            raise UnreadablePictureError(str(error)) from None

    @property
    def path(self) -> Path:
        """The list's."""
        return self._windows.path


class UnreadablePictureError(DataError):
    """A picture of a window that cannot be read."""


class WindowWork:
    """The making of a batch of windows.

    As in Caffe, a picture that cannot be read ends the batch: what should come from there on is zeros, with
    label 0, and the log has an error.

    Args:
        source: cuts out the windows.
        chosen: the windows: whether of an object, which one, whether mirrored; fewer than the batch has items
            where the last one's picture cannot be read.
        batch_size: items of the batch.
        state: of the source behind this batch.
    """

    def __init__(
        self, source: WindowSource, chosen: list[tuple[bool, int, bool]], batch_size: int, state: bytes
    ) -> None:
        self.pieces = len(chosen)
        self.state = state
        self._batch_size = batch_size
        self._source = source
        self._chosen = chosen
        self._lock = threading.Lock()
        self._has_room = False
        self._bad = len(chosen)
        self._error = ""

    def run(self, piece: int, batch: Batch) -> None:
        """Cuts out a window."""
        with self._lock:
            if not self._has_room:
                batch.make_room((self._batch_size, *self._source.shape()), self._batch_size)
                self._has_room = True
        batch.data[piece] = 0
        try:
            batch.labels[piece] = self._source.cut(*self._chosen[piece], batch.data[piece])
        except UnreadablePictureError as error:
            with self._lock:
                if piece < self._bad:
                    self._bad, self._error = piece, str(error)

    def finish(self, batch: Batch) -> None:
        """Clears what a picture that cannot be read leaves out."""
        if self._error:
            log.error(
                "'%s': %s; the last %d windows of the batch are zeros with label 0, as in Caffe",
                self._source.path,
                self._error,
                self._batch_size - self._bad,
            )
        batch.data[self._bad :] = 0
        batch.labels[self._bad :] = 0

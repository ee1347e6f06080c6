"""ClipSource: batches of clips, whose frames are picture files in a folder for each video.

Source: src/caffe/layers/video_data_layer.cpp of yjxiong/caffe, chuckcho/video-caffe and facebookarchive/C3D
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.image_list import ImageList
from pycaffe_lite.data.item_work import Item, ItemWork
from pycaffe_lite.data.pictures import PictureSource
from pycaffe_lite.data.prefetch import Batch, Work
from pycaffe_lite.data.transformer import Fit, Transformer
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.proto.paths import read_regular
from pycaffe_lite.random import RandomStream

_LARGEST_LIST = 1 << 32  # bytes
_CONVERSIONS = re.compile(r"%(?:0?\d*)([a-z%])")

# A clip: its line, and the frames before each of its segments.
Key = tuple[int, tuple[int, ...]]


def read_clips(path: Path, second: str) -> tuple[ImageList, npt.NDArray[np.int64]]:
    """Reads a list of clips: a folder, a number and a label on each line, with blanks between.

    Args:
        path: of the list. second: what the number is, for messages.

    Returns:
        The folders and labels, and the numbers.

    Raises:
        FileLookupError: there is no such file. DataError: it cannot be read, or a line has other words.
    """
    content = read_regular(path, _LARGEST_LIST, "a list of clips", error=DataError)
    names, numbers, labels = [], [], []
    for i, line in enumerate(content.decode("utf-8", "surrogateescape").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            name, number, label = words
            numbers.append(int(number))
            labels.append(int(label))
        except ValueError:
            raise DataError(
                f"line {i} of '{path}' must be a folder, {second} and a label, got '{line}'"
            ) from None
        names.append(name)
    if not names:
        raise DataError(f"the list '{path}' is empty: write a line for each clip")
    found = ImageList(path, names, np.array(labels, np.int32), zlib.crc32(content))
    return found, np.array(numbers, np.int64)


class Segments(NamedTuple):
    """TSN's clips: several parts of a video, evenly spread, of some frames each.

    Attributes:
        parts: how many. length: frames of each. pattern: names of frames, as C's printf takes them.
        flow: whether each frame is two pictures, of the flow along x and y. color: whether pictures are.
        step: every how many frames one is taken.
    """

    parts: int
    length: int
    pattern: str
    flow: bool
    color: bool
    step: int = 1

    def check(self) -> None:
        """Refuses a pattern that does not make names.

        Raises:
            DataError: it has other conversions than %c for the direction, of flow, and %d for the number.
        """
        kinds = [kind for kind in _CONVERSIONS.findall(self.pattern) if kind != "%"]
        wanted = ["c", "d"] if self.flow else ["d"]
        if [kind.replace("i", "d") for kind in kinds] != wanted:
            example = FLOW_PATTERN if self.flow else RGB_PATTERN
            raise DataError(
                f"name_pattern '{self.pattern}' must have {' and '.join('%' + kind for kind in wanted)}, as "
                f"'{example}' has"
            )

    def room(self, duration: int) -> int:
        """How many places there are for a segment in its part of a video of a duration; 0: it begins at 0."""
        return max(duration // self.parts - self.length + 1, 0)

    def places(self, number: int) -> tuple[int, ...]:
        """The frames before each segment in the middle of its part. number: of frames of the video."""
        room, share = self.room(number), number // self.parts
        return tuple(room // 2 + i * share if room else 0 for i in range(self.parts))

    def drawn(self, number: int, stream: RandomStream) -> tuple[int, ...]:
        """As `places`, drawn."""
        room, share = self.room(number), number // self.parts
        return tuple(stream.below(room) + i * share if room else 0 for i in range(self.parts))

    def files(self, offset: int) -> list[str]:
        """The files of a segment."""
        numbers = range(offset + 1, offset + 1 + self.length * self.step, self.step)
        if not self.flow:
            return [self.pattern % number for number in numbers]
        return [self.pattern % (direction, number) for number in numbers for direction in "xy"]


RGB_PATTERN, FLOW_PATTERN, C3D_PATTERN = "image_%04d.jpg", "flow_%c_%04d.jpg", "%06d.jpg"


class ClipSource(PictureSource):
    """Makes batches of clips, transformed; the order is that of PictureSource.

    Args:
        clips: the list. numbers: of each line: the video's frames, or the clip's first.
        segments: which frames a clip is made of.
        stream: from which places of segments are drawn; None: they are not drawn.
        split: whether a clip's channels are those of its frames, for which the tops have an axis, rather than
            its frames' channels.
        locate, transformer, batch_size, size, shuffler_seed, start: as for PictureSource.
    """

    def __init__(
        self,
        clips: ImageList,
        numbers: npt.NDArray[np.int64],
        segments: Segments,
        stream: RandomStream | None,
        split: bool,
        locate: Callable[[str], Path],
        transformer: Transformer,
        batch_size: int,
        size: tuple[int, int] | None,
        shuffler_seed: int | None,
        start: int,
    ) -> None:
        super().__init__(clips, locate, transformer, batch_size, segments.color, size, shuffler_seed, start)
        self._numbers, self._segments, self._stream, self._split = numbers, segments, stream, split

    def shape(self) -> tuple[int, ...]:
        """Shape of the items that the next clip gives."""
        line = int(self._order[self._next])
        return self._transformer.fit(self.read_clip((line, self._middle(line))).values.shape).top_shape

    def _middle(self, line: int) -> tuple[int, ...]:
        """Where a clip's segments lie where nothing is drawn; the first frame of a list is 1."""
        number = int(self._numbers[line])
        return (number - 1,) if self._split else self._segments.places(number)

    def state(self) -> bytes:
        """Which clip comes next in which order, and the random streams."""
        return super().state() + (self._stream.state() if self._stream else b"")

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken; returns what starts afresh instead, in words."""
        if self._stream is None:
            return super().set_state(state)
        size = len(self._stream.state())
        afresh = super().set_state(state[:-size])
        try:
            self._stream.set_state(state[-size:])
        except ArgumentError:
            return "; ".join(filter(None, [afresh, "its random segments start afresh"]))
        return afresh

    def plan(self) -> Work:
        """Takes the next clips of the list, and draws what their transformation needs."""
        keys = [(line, self._drawn(line)) for line in self._next_lines()]
        draws = self._transformer.draw(self._batch_size)
        work = _ClipWork(keys, draws, _ClipReader(self), self._transformer, True, self.state())
        work.has_flat_labels = self._split
        return work

    def _drawn(self, line: int) -> tuple[int, ...]:
        if self._stream is None or self._split:
            return self._middle(line)
        return self._segments.drawn(int(self._numbers[line]), self._stream)

    def read_clip(self, key: Key) -> Item:
        """A clip, in the size wanted.

        Raises:
            FileLookupError, DataError: a frame cannot be read, or differs in size from the first.
        """
        line, offsets = key
        frames: list[Values] = []
        for offset in offsets:
            for file in self._segments.files(offset):
                frames.append(self._frame(line, file))
                if frames[-1].shape != frames[0].shape:
                    raise DataError(
                        f"{self.name(line)}: frame '{file}' has shape {frames[-1].shape}, the first has "
                        f"{frames[0].shape}: give new_height and new_width"
                    )
        joined: Values = np.stack(frames, axis=1 if self._split else 0).astype(np.uint8, copy=False)
        return Item(joined.reshape(-1, *joined.shape[2:]), int(self._pictures.labels[line]))

    def _frame(self, line: int, file: str) -> Values:
        try:
            pixels = image.read(self._locate(f"{self._pictures.names[line]}/{file}"), self._color).pixels
        except (DataError, FileLookupError) as error:
            raise type(error)(f"{self._pictures.place(line)}: {error}") from None
        if self._size is not None:
            pixels = image.resize(pixels, *self._size)
        planes: Values = pixels.transpose(2, 0, 1)
        return planes

    def name(self, key: int) -> str:
        """A clip, for messages."""
        return f"{self._pictures.place(key)}: clip '{self._pictures.names[key]}'"


class _ClipReader:
    """Reads the clips of a source by their keys."""

    def __init__(self, source: ClipSource) -> None:
        self._source = source

    def read(self, key: Key) -> Item:
        """The clip of a key."""
        return self._source.read_clip(key)

    def name(self, key: Key) -> str:
        """A clip, for messages."""
        return self._source.name(key[0])

    def other_shape(self, key: Key, fit: Fit, first: Key, wanted: Fit) -> DataError:
        """A clip that has another shape than the first of its batch."""
        return self._source.other_shape(key[0], fit, first[0], wanted)


class _ClipWork(ItemWork[Key]):
    """The making of a batch of clips."""

    has_flat_labels = True

    def finish(self, batch: Batch) -> None:
        """Gives labels four axes, as TSN's layer does, unless they are to be flat."""
        if not self.has_flat_labels:
            batch.labels = batch.labels.reshape(-1, 1, 1, 1)

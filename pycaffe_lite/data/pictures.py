"""PictureSource: batches of the pictures of a list."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.image_list import ImageList
from pycaffe_lite.data.item_work import Item, ItemWork, shape_of
from pycaffe_lite.data.prefetch import Work
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.data.transformer import Fit, Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

# What a name of which there is no file may have in it, and what is wrong with the list then.
_WRONG_CHARACTERS = {
    "\0": "save the list as UTF-8, not UTF-16",
    "\t": "a space must stand before the label, not a tab",
    "\r": "save the list with line feeds at the ends of its lines, not carriage returns alone",
}
# State: checksum and length of the list, the shuffler's seed or -1, epochs ended, the line that comes next.
_STATE = struct.Struct("<IQqQQ")


class PictureSource:
    """Makes batches of the pictures of a list, transformed; after the last comes the first again.

    Where they are shuffled, they are from the start and again whenever the last one was taken, each time from
    the order that the time before has left.

    Args:
        pictures: the list.
        locate: from a name of the list to the file.
        transformer: of the pictures.
        batch_size: pictures of a batch.
        color: whether they are read in colour.
        size: height and width to which they are resized; None: they stay as they are.
        shuffler_seed: of the stream that shuffles them; None: they keep their order.
        start: how many pictures are left out at first.
        sizing: from the height and width of a picture to those to which it is resized, in place of `size`.
        read: from a name of the list to the picture, where nothing stands in the way; else None, and the file
            that `locate` finds is read. None: it is always read so.
        share: which of the pictures are taken.
    """

    def __init__(
        self,
        pictures: ImageList,
        locate: Callable[[str], Path],
        transformer: Transformer,
        batch_size: int,
        color: bool,
        size: tuple[int, int] | None = None,
        shuffler_seed: int | None = None,
        start: int = 0,
        sizing: Callable[[int, int], tuple[int, int]] | None = None,
        read: Callable[[str], image.Picture | None] | None = None,
        share: Share = WHOLE,
    ) -> None:
        self._pictures = pictures
        self._read = read
        self._locate = locate
        self._transformer = transformer
        self._batch_size = batch_size
        self._color = color
        self._size = size
        self._sizing = sizing
        self._seed = shuffler_seed
        self._start = start
        self._share = share
        self._has_told_of_cut = threading.Lock()  # taken for good
        self._begin_own()

    def _begin_own(self) -> None:
        """Begins with the first picture of the share."""
        self._begin(self._seed)
        self._pass_over(self._start + self._share.before(self._batch_size))

    def _begin(self, seed: int | None) -> None:
        """Puts the pictures into the order of the first epoch."""
        self._shuffler = None if seed is None else RandomStream(seed)
        self._used_seed = seed
        self._epochs = 0
        self._next = 0
        self._order: npt.NDArray[np.int64] = np.arange(len(self._pictures.names))
        self._shuffle()

    def _shuffle(self) -> None:
        if self._shuffler is not None:
            self._order = self._order[self._shuffler.permutation(len(self._order))]

    def shape(self) -> tuple[int, ...]:
        """Shape of the items that the next picture gives.

        Raises:
            FileLookupError, DataError: the picture cannot be read or transformed.
        """
        return shape_of(self.read(int(self._order[self._next])), self._transformer)

    def state(self) -> bytes:
        """Which picture comes next in which order, and the transformer's random stream."""
        seed = -1 if self._used_seed is None else self._used_seed
        place = _STATE.pack(self._pictures.checksum, len(self._order), seed, self._epochs, self._next)
        return place + self._transformer.state()

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, as far as the list and the transformer allow.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        afresh = [self._go_to(state[: _STATE.size]), self._transformer.set_state(state[_STATE.size :])]
        return "; ".join(filter(None, afresh))

    def _go_to(self, place: bytes) -> str:
        problem = ""
        if len(place) < _STATE.size:
            problem = f"the state saved has {len(place)} bytes"
        else:
            checksum, length, seed, epochs, following = _STATE.unpack(place)
            if (checksum, length) != (self._pictures.checksum, len(self._order)) or following >= length:
                problem = f"'{self._pictures.path}' has changed since the state was saved"
            elif (seed < 0) != (self._seed is None):
                problem = "shuffle was set otherwise when the state was saved"
        if problem:
            self._begin_own()
            return f"its list starts afresh: {problem}"
        self._begin(None if seed < 0 else seed)
        for _ in range(epochs if seed >= 0 else 0):
            self._shuffle()
        self._epochs, self._next = epochs, following
        return ""

    def plan(self) -> Work:
        """Takes the next pictures of the list, and draws what their transformation needs."""
        lines = self._next_lines()
        draws = self._transformer.draw(self._batch_size)
        work = ItemWork(lines, draws, self, self._transformer, True, b"")
        work.state = self.state()  # behind all that this batch has drawn
        return work

    def size(self) -> str:
        """How long the list is, and what its bytes add up to, in words."""
        return f"{len(self._order)} pictures in a list with checksum {self._pictures.checksum:08x}"

    def join(self, state: bytes, rank: int) -> str:
        """Goes on `rank` shares behind the place that `state()` had; what is drawn besides stays as it is.

        Returns:
            What starts afresh, in words; empty where nothing does.
        """
        afresh = self._go_to(state[: _STATE.size])
        if not afresh:
            self._pass_over(rank * self._share.chunk(self._batch_size))
        return afresh

    def _next_lines(self) -> list[int]:
        """The lines of the next batch; those of other shares are left out."""
        lines: list[int] = []
        chunk = self._share.chunk(self._batch_size)
        while len(lines) < self._batch_size:
            missing = chunk
            while missing:
                part = self._order[self._next : self._next + missing]
                lines += part.tolist()
                missing -= len(part)
                self._pass_over(len(part))
            self._pass_over(self._share.others(self._batch_size))
        return lines

    def _pass_over(self, count: int) -> None:
        """Steps over so many pictures; behind the last one the order begins anew."""
        self._next += count
        while self._next >= len(self._order):
            self._next -= len(self._order)
            self._epochs += 1
            self._shuffle()

    def read(self, key: int) -> Item:
        """The picture of a line, counted from 0, and the size wanted."""
        name, place = self._pictures.names[key], self._pictures.place(key)
        if not name:
            raise DataError(f"{place} names no picture: leave no line empty")
        try:
            picture = self._read(name) if self._read else None
            if picture is None:
                picture = image.read(self._locate(name), self._color, packed=False)
        except (DataError, FileLookupError) as error:
            what = str(error)
            if isinstance(error, FileLookupError):
                for character, hint in _WRONG_CHARACTERS.items():
                    if character in name:
                        what = f"no such file: {name!r}; {hint}"
                        break
            raise type(error)(f"{place}: {what}") from None
        if picture.is_cut and self._has_told_of_cut.acquire(blocking=False):
            log.warning(
                "%s: '%s' is a JPEG that is cut off: what is missing is grey, as in Caffe; others like it "
                "are not mentioned",
                place,
                self._locate(name),
            )
        pixels, size = picture.pixels, self._size
        if self._sizing is not None:
            size = self._sizing(*pixels.shape[:2])
        if size == pixels.shape[:2]:
            size = None
        if size is not None:
            image.check_new_size(*size)
        return Item(pixels.transpose(2, 0, 1), int(self._pictures.labels[key]), size)

    def name(self, key: int) -> str:
        """A picture, for messages."""
        return f"{self._pictures.place(key)}: picture '{self._pictures.names[key]}'"

    def other_shape(self, key: int, fit: Fit, first: int, wanted: Fit) -> DataError:
        """A picture that has another shape than the first of its batch."""
        return DataError(
            f"{self.name(key)} has shape {fit.shape}, '{self._pictures.names[first]}' of the same batch has "
            f"{wanted.shape}: give new_height and new_width, or crop_size, or batch_size 1"
        )

"""ItemWork: a batch whose items are read and transformed one by one, in any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.datum import Values
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.transformer import Draws, Fit, Places, Shape, Transformer
from pycaffe_lite.errors import DataError

K_contra = TypeVar("K_contra", contravariant=True)
K = TypeVar("K")


class Item(NamedTuple):
    """One item of a batch, before it is transformed.

    Attributes:
        values: (C, H, W) uint8 or float32; not necessarily contiguous.
        label: its class.
        size: height and width to which it is still to be resized, as `image.resize` does; uint8 then.
    """

    values: Values
    label: int
    size: tuple[int, int] | None = None

    @property
    def shape(self) -> Shape:
        """(C, H, W), once it is resized."""
        C, H, W = self.values.shape
        return (C, *self.size) if self.size else (C, H, W)

    def resized(self) -> Values:
        """The values, (C, H, W), in the size wanted."""
        if self.size is None:
            return self.values
        pixels = np.ascontiguousarray(self.values.transpose(1, 2, 0), np.uint8)
        values: Values = image.resize(pixels, *self.size).transpose(2, 0, 1)
        return values


class _ToData:
    """Makes the values of a batch of its pixels.

    Attributes:
        floats: the values of those items that were no pixels, by their places in the batch.
    """

    def __init__(self, transformer: Transformer, places: Places) -> None:
        self.floats: dict[int, npt.NDArray[np.float32]] = {}
        self._transformer = transformer
        self._places = places

    def __call__(self, pixels: npt.NDArray[np.uint8], out: npt.NDArray[np.floating]) -> None:
        self._transformer.finish(pixels, self._places, out)
        for i, values in self.floats.items():
            out[i] = values


class Reader(Protocol[K_contra]):
    """What reads the items; several threads call it at once."""

    def read(self, key: K_contra) -> Item:
        """The item of a key.

        Raises:
            PycaffeError: it cannot be read; the message names it.
        """

    def name(self, key: K_contra) -> str:
        """The item of a key, for messages."""

    def other_shape(self, key: K_contra, fit: Fit, first: K_contra, wanted: Fit) -> DataError:
        """What to raise where an item cannot stand in a batch with the first one."""


class ItemWork(Generic[K]):
    """The making of a batch whose first item gives the shape of all, as they are when they are transformed.

    Args:
        keys: of the items.
        draws: the transformer's for these items.
        reader, transformer: for all batches.
        labels: whether the batch has labels.
        state: of the source behind this batch.
    """

    def __init__(
        self,
        keys: Sequence[K],
        draws: Draws,
        reader: Reader[K],
        transformer: Transformer,
        labels: bool,
        state: bytes,
    ) -> None:
        self.pieces = len(keys)
        self.state = state
        self._keys = keys
        self._draws = draws
        self._reader = reader
        self._transformer = transformer
        self._has_labels = labels
        self._seeds = transformer.draw_seeds(len(keys)) if transformer.prepares else None
        self._places: Places | None = None
        self._to_data: _ToData | None = None  # where the first item is of pixels
        self._shape_is_known = threading.Event()

    def run(self, piece: int, batch: Batch) -> None:
        """Reads an item and transforms it into its place in the batch."""
        if piece == 0:
            try:
                item = self._begin(batch)
            finally:
                self._shape_is_known.set()
        else:
            item = self._read(piece)
            self._shape_is_known.wait()
        places, index = self._places, piece
        if places is None:  # the first item could not be read: that is what is told
            return
        if item.shape != places.fit.shape:
            places, index = self._places_of_other(piece, item, places.fit), 0
        if self._to_data is None:
            self._transformer.apply_to_one(item.resized(), places, index, batch.data[piece])
        elif item.values.dtype == np.uint8:
            self._transformer.cut(item.values, item.size, places, index, batch.pixels[piece])
        else:
            floats = self._to_data.floats[piece] = np.empty(batch.pixels.shape[1:], np.float32)
            self._transformer.apply_to_one(item.values, places, index, floats)
        if self._has_labels:
            batch.labels[piece] = item.label

    def _read(self, piece: int) -> Item:
        """An item, prepared for the transformer."""
        item = self._reader.read(self._keys[piece])
        if self._seeds is None:
            return item
        try:
            values = self._transformer.prepared(item.resized(), self._seeds[piece])
            return Item(values, item.label)
        except DataError as error:
            raise DataError(f"{self._reader.name(self._keys[piece])}: {error}") from None

    def _begin(self, batch: Batch) -> Item:
        """Reads the first item, and makes room for items like it."""
        first = self._read(0)
        fit = self._fit(0, first)
        N = len(self._keys)
        shape, labels = (N, *fit.top_shape), N if self._has_labels else 0
        places = self._transformer.places(fit, self._draws)
        if first.values.dtype == np.uint8 and self._transformer.cuts:
            self._to_data = _ToData(self._transformer, places)
            batch.make_room_for_pixels(shape, labels, self._to_data)
        else:
            batch.make_room(shape, labels)
        self._places = places
        return first

    def _places_of_other(self, i: int, item: Item, first: Fit) -> Places:
        """That of an item which has not the shape of the first one: it may have it once it is cropped."""
        fit = self._fit(i, item)
        if fit.top_shape != first.top_shape:
            raise self._reader.other_shape(self._keys[i], fit, self._keys[0], first)
        return self._transformer.places(fit, self._draws[i : i + 1])

    def _fit(self, i: int, item: Item) -> Fit:
        try:
            return self._transformer.fit(item.shape)
        except DataError as error:
            raise DataError(f"{self._reader.name(self._keys[i])}: {error}") from None

    def finish(self, batch: Batch) -> None:
        """Does nothing: the pieces have done all."""


def shape_of(item: Item, transformer: Transformer) -> tuple[int, ...]:
    """The shape of what becomes of an item.

    Raises:
        DataError: it cannot be transformed.
    """
    if not transformer.prepares:
        return transformer.fit(item.shape).top_shape
    return transformer.fit(transformer.prepared(item.resized(), 0).shape).top_shape

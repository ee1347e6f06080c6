"""MemoryData: images and labels that the caller hands over."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.data.datum import DatumReader, Values
from pycaffe_lite.data.fork_transformer import transformer_of
from pycaffe_lite.data.transformer import Fit
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
T = TypeVar("T")
_POSITION = struct.Struct("<q")


@register_layer("MemoryData", param="memory_data_param")
class MemoryDataLayer(Layer[caffe_pb2.MemoryDataParameter]):
    """Reads batches from what the caller hands over, and begins again after the last item.

    Arrays, given to `reset`, are taken as they are: transform_param has no effect on them, as in Caffe. It is
    applied to Datum messages and pictures (`add_datum_vector`, `add_mat_vector`), once, when they are added.

    Top: the items, (N, C, H, W); the labels, (N,) until the first forward pass, then (N, 1, 1, 1).
    Source: BVLC/caffe src/caffe/layers/memory_data_layer.cpp
    """

    exact_bottoms = 0
    exact_tops = 2
    also_reads = reads_without_effect = ("transform_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        self.item_shape = p.channels, p.height, p.width
        if not p.batch_size or 0 in self.item_shape:
            raise self.error(
                "needs batch_size, channels, height and width above 0, "
                f"got {(p.batch_size, *self.item_shape)}"
            )
        top[0].reshape(p.batch_size, *self.item_shape)
        top[1].reshape(p.batch_size)
        try:
            self._transformer = transformer_of(
                self.layer_param.transform_param, self.phase, self.context.folder
            )
        except (DataError, FileLookupError) as error:
            raise type(error)(str(self.error(str(error)))) from None
        self._transformer.seed_from(random.stream())
        if self._transformer.preparation is not None and self._transformer.preparation.is_random:
            self._transformer.seed_preparation(random.stream().raw())
        self._datums = DatumReader(self._transformer.color)
        self._has_added = False  # items that no forward pass has gone through to the end
        self._items: Floats | None = None
        self._labels: Floats | None = None
        self._position = 0

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops."""

    def reset(self, items: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Takes the arrays to read from now on, beginning with their first items.

        Args:
            items: (M, C, H, W), M a multiple of batch_size. A contiguous float32 array is used without a
                copy.
            labels: (M,) or (M, 1, 1, 1).

        Raises:
            ArgumentError: arrays of other shapes.
        """
        items = np.ascontiguousarray(items, np.float32)
        labels = np.ascontiguousarray(labels, np.float32)
        if items.shape[1:] != self.item_shape:
            raise self._argument_error(f"items of shape {self.item_shape}", items.shape)
        if labels.shape not in ((len(items),), (len(items), 1, 1, 1)):
            raise self._argument_error(f"{len(items)} labels, one for each item", labels.shape)
        if not len(items) or len(items) % self.param.batch_size:
            raise self._argument_error(f"a multiple of its batch_size {self.param.batch_size}", items.shape)
        if self.layer_param.HasField("transform_param"):
            log.warning("layer '%s' (MemoryData): transform_param has no effect on arrays", self.name)
        self._take(items, labels.ravel())

    def _take(self, items: Floats, labels: Floats) -> None:
        self._items, self._labels, self._position = items, labels, 0
        self._has_added = False

    def _argument_error(self, needed: str, shape: tuple[int, ...]) -> ArgumentError:
        return ArgumentError(str(self.error(f"needs {needed}, got an array of shape {shape}")))

    def add_datum_vector(self, datums: Sequence[caffe_pb2.Datum]) -> None:
        """Takes Datum messages, transformed by transform_param, to read from now on.

        Their draws come one after the other, as those of a Data layer. More can be added when a forward pass
        has reached the last of them.

        Args:
            datums: a multiple of batch_size of them, which have the layer's channels, height and width once
                they are transformed.

        Raises:
            ArgumentError: another number or size of items, a message that cannot be read, or there are still
                items to come.
        """
        decoded = [
            self._checked(i, self._datums.read, datum.SerializeToString()) for i, datum in enumerate(datums)
        ]
        self._add([datum.values for datum in decoded], [datum.label for datum in decoded])

    def add_mat_vector(self, pictures: Sequence[npt.NDArray[np.uint8]], labels: Sequence[int]) -> None:
        """Takes pictures, transformed by transform_param, to read from now on; see `add_datum_vector`.

        Args:
            pictures: (H, W, C) or (H, W) each, uint8, blue first, as OpenCV has them.
            labels: one for each picture.

        Raises:
            ArgumentError: as for `add_datum_vector`; other arrays; another number of labels.
        """
        if len(labels) != len(pictures):
            raise self._argument_error(f"{len(pictures)} labels, one for each picture", (len(labels),))
        planes: list[Values] = []
        for picture in pictures:
            if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
                raise self._argument_error("pictures, (H, W, C) uint8", picture.shape)
            planes.append(picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1))
        self._add(planes, labels)

    def _checked(self, index: int, function: Callable[..., T], *args: object) -> T:
        """What a function returns; its errors name the item."""
        try:
            return function(*args)
        except DataError as error:
            raise ArgumentError(str(self.error(f"item {index}: {error}"))) from None

    def _add(self, images: Sequence[Values], labels: Sequence[int]) -> None:
        N = self.param.batch_size
        if self._has_added:
            raise ArgumentError(
                str(self.error("still has items to come: run forward until the last of them"))
            )
        if not images or len(images) % N:
            raise ArgumentError(
                str(self.error(f"needs a multiple of its batch_size {N}, got {len(images)} items"))
            )
        if self._transformer.prepares:
            seeds = self._transformer.draw_seeds(len(images))
            images = [
                self._checked(i, self._transformer.prepared, values, seed)
                for i, (values, seed) in enumerate(zip(images, seeds, strict=True))
            ]
        items = np.empty((len(images), *self.item_shape), np.float32)
        fits: list[Fit] = []
        for i, values in enumerate(images):
            fit = self._checked(i, self._transformer.fit, values.shape)
            if fit.top_shape != self.item_shape:
                raise ArgumentError(
                    str(
                        self.error(
                            f"needs items of shape {self.item_shape}, item {i} becomes {fit.top_shape}"
                        )
                    )
                )
            fits.append(fit)
        draws = self._transformer.draw(len(images))
        for i, (values, fit) in enumerate(zip(images, fits, strict=True)):
            places = self._transformer.places(fit, draws[i : i + 1])
            self._transformer.apply_to_one(values, places, 0, items[i])
        self._take(items, np.array(labels, np.float32))
        self._has_added = True

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._items is None or self._labels is None:
            raise self.error("has no data: call net.set_input_arrays(items, labels) first")
        N = self.param.batch_size
        batch = slice(self._position, self._position + N)
        top[0].data[...] = self._items[batch]
        top[1].reshape(N, 1, 1, 1)
        top[1].data.ravel()[...] = self._labels[batch]
        self._position = (self._position + N) % len(self._items)
        self._has_added &= self._position > 0

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""

    def state(self) -> bytes:
        """The index of the item that the next forward pass starts with."""
        return _POSITION.pack(self._position)

    def set_state(self, state: bytes) -> str:
        (position,) = _POSITION.unpack(state) if len(state) == _POSITION.size else (-1,)
        problem = ""
        if position < 0 or position % self.param.batch_size:
            problem = "was saved with another batch_size"
        elif self._items is not None and position >= len(self._items):
            problem = f"was item {position}, now there are {len(self._items)}"
        self._position = 0 if problem else position
        return problem and f"its first item comes next: the one saved {problem}"

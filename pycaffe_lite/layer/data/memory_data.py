"""MemoryData: images and labels from arrays that the caller hands over."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
_POSITION = struct.Struct("<q")


@register_layer("MemoryData", param="memory_data_param")
class MemoryDataLayer(Layer[caffe_pb2.MemoryDataParameter]):
    """Reads batches from the arrays given to `reset`, and begins again after the last item.

    Nothing is done to the items: a transform_param has no effect on them, as in Caffe.

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
        if self.layer_param.HasField("transform_param"):
            # Caffe makes the transformer, which draws a seed, and uses it only for images added one by one.
            try:
                transformer = Transformer(self.layer_param.transform_param, self.phase, self.context.folder)
            except (DataError, FileLookupError) as error:
                raise type(error)(str(self.error(str(error)))) from None
            transformer.seed_from(random.stream())
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
        self._items, self._labels, self._position = items, labels.ravel(), 0

    def _argument_error(self, needed: str, shape: tuple[int, ...]) -> ArgumentError:
        return ArgumentError(str(self.error(f"needs {needed}, got an array of shape {shape}")))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._items is None or self._labels is None:
            raise self.error("has no data: call net.set_input_arrays(items, labels) first")
        N = self.param.batch_size
        batch = slice(self._position, self._position + N)
        top[0].data[...] = self._items[batch]
        top[1].reshape(N, 1, 1, 1)
        top[1].data.ravel()[...] = self._labels[batch]
        self._position = (self._position + N) % len(self._items)

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

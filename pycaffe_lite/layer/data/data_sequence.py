"""DataSequence: items, and to each others of the same label and of another one, from earlier batches."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

Numbers = npt.NDArray[np.int64]

_MOST_TRIES = 10
_WHOLE = 2**32 - 1


@register_layer("DataSequence", param="data_sequence_param", origin="MyCaffe")
class DataSequenceLayer(Layer[caffe_pb2.DataSequenceParameter]):
    """Puts beside each item one of the same label and others of other labels, for pairs and triplets.

    The layer keeps the last `cache_size` items of each label. With k > 0 the first top has the items, the
    second has others of the same label, drawn, and k more have items of labels that are drawn from the
    others. With k 0 there is one second top. `balance_matches` fills that top, or the second and third, for
    items with even indices with an item of the same label and for those with odd ones with one of another;
    what it leaves out stays as it was. Random numbers come from the main stream, MyCaffe's from C's rand().

    Bottom: items, (N, C, H, W); labels, N values.
    Top: 2 + k of the items' shape; with `output_labels`, the labels of all of these, (N, 2 + k, 1, 1). No
    gradient.
    Raises LayerError where the batches so far have no other item of a label, or only one label, and for
    labels outside of `label_start` to label_start + `label_count`.
    Source: MyCaffe/MyCaffe MyCaffe.layers.beta/layers.beta/DataSequenceLayer.cs, CudaDnnDLL math.cu
    """

    exact_bottoms = 2
    min_tops = 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.k < 0 or p.cache_size < 2:
            raise self.error(
                f"needs k of 0 or more and cache_size of 2 or more, got {p.k} and {p.cache_size}"
            )
        wanted = 2 + p.k + p.output_labels
        if len(top) != wanted:
            raise self.error(f"takes {wanted} tops with k {p.k}, got {len(top)}")
        self.start, self.count = p.label_start, p.label_count
        self.cache: npt.NDArray[np.floating] | None = None  # (labels, cache_size, values of an item)
        self.kept: Numbers = np.zeros(0, np.int64)  # how many of each label

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        items = 2 + self.param.k
        for blob in top[:items]:
            blob.reshape_like(bottom[0])
        for blob in top[items:]:
            blob.reshape(bottom[0].shape[0], items, 1, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        data = bottom[0].data.reshape(bottom[0].shape[0], -1)
        labels = bottom[1].data.ravel().astype(np.int64)
        if len(labels) != len(data):
            raise self.error(f"needs {len(data)} labels, got shape {bottom[1].shape}")
        if self.cache is None:
            self._begin(labels, data.shape[1])
        places = labels - self.start
        if len(places) and not 0 <= places.min() <= places.max() < self.count:
            raise self.error(
                f"needs labels from {self.start} to {self.start + self.count - 1}, got {labels.min()} to "
                f"{labels.max()}: set label_start and label_count"
            )
        self._keep(data, places)
        top[0].data[...] = bottom[0].data
        self._match(places, top)

    def _begin(self, labels: Numbers, values: int) -> None:
        """Makes the room for items; where `label_count` is 0, labels are those of the first batch."""
        if not self.count:
            self.start = int(labels.min())
            self.count = len(np.unique(labels))
        self.cache = np.zeros((self.count, self.param.cache_size, values), self.dtype)
        self.kept = np.zeros(self.count, np.int64)

    def _keep(self, data: npt.NDArray[np.floating], places: Numbers) -> None:
        """Puts the items of a batch before those that are kept of their labels."""
        assert self.cache is not None
        size = self.param.cache_size
        for place in np.unique(places).tolist():
            new = np.flatnonzero(places == place)
            count = len(new) if len(new) <= size else 0
            if self.kept[place]:
                self.cache[place, count:] = self.cache[place, : size - count].copy()
            for i, item in enumerate(new.tolist()):
                self.cache[place, i % size] = data[item]
            self.kept[place] = min(self.kept[place] + len(new), size)

    def _match(self, places: Numbers, top: Blobs) -> None:
        """Fills the tops behind the first."""
        k, balance = self.param.k, self.param.balance_matches
        numbers = top[-1].data.reshape(len(places), 2 + k) if self.param.output_labels else None
        cursors = np.zeros(self.count, np.int64)
        if k or balance:
            for i, place in enumerate(places.tolist()):
                if not balance or i % 2 == 0:
                    self._fill(top[1], i, place, self._other_item(place, int(cursors[place])))
                    self._name(numbers, i, places, 1, place)
                    self._step(cursors, place)
        for negative in range(max(k, 1)):
            blob = top[1 + bool(k) + negative]
            column = 1 + bool(k) + negative
            if negative == 0:
                cursors[:] = 0
            for i, place in enumerate(places.tolist()):
                combines = balance and negative == 0
                if not combines or i % 2 == 1:
                    other = self._other_label(place)
                    self._fill(blob, i, other, int(cursors[other]))
                    self._name(numbers, i, places, 1 if combines else column, other)
                    self._step(cursors, other)

    def _other_item(self, place: int, own: int) -> int:
        """Which of the items of a label is taken, another one than an item itself."""
        for _ in range(_MOST_TRIES):
            index = self._drawn(int(self.kept[place]))
            if index != own:
                return index
        raise self.error(
            f"has found no other item of label {place + self.start} among {self.kept[place]}: take larger "
            "batches"
        )

    def _other_label(self, place: int) -> int:
        for _ in range(_MOST_TRIES):
            other = self._drawn(self.count)
            if other != place:
                return other
        raise self.error(f"has found no label besides {place + self.start} among {self.count}")

    @staticmethod
    def _drawn(count: int) -> int:
        """A number from 0 to count - 1, of which the first and the last come half as often."""
        return math.floor((count - 1) * (random.stream().raw() / _WHOLE) + 0.5)

    def _fill(self, blob: Blob, i: int, place: int, index: int) -> None:
        assert self.cache is not None
        data = blob.data
        data[i] = self.cache[place, index].reshape(data.shape[1:])

    def _name(
        self, numbers: npt.NDArray[np.floating] | None, i: int, places: Numbers, column: int, place: int
    ) -> None:
        if numbers is not None:
            numbers[i, 0] = places[i] + self.start
            numbers[i, column] = place + self.start

    def _step(self, cursors: Numbers, place: int) -> None:
        """Goes to the next item that is kept of a label, behind the last to the first."""
        cursors[place] = (cursors[place] + 1) % max(int(self.kept[place]), 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: items and labels get no gradient."""
        for wanted, blob in zip(propagate_down, bottom, strict=True):
            if wanted:
                blob.diff.fill(0)

    def state(self) -> bytes:
        """The items that are kept, and of which labels."""
        if self.cache is None:
            return b""
        file = io.BytesIO()
        np.savez(file, cache=self.cache, kept=self.kept, labels=[self.start, self.count])
        return file.getvalue()

    def set_state(self, state: bytes) -> str:
        self.cache = None
        self.start, self.count = self.param.label_start, self.param.label_count
        if not state:
            return ""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as saved:
                cache, kept, labels = saved["cache"], saved["kept"], saved["labels"]
        except (ValueError, OSError, KeyError):
            return "its items are collected afresh: the state saved is damaged"
        if cache.ndim != 3 or cache.shape[1] != self.param.cache_size or kept.shape != cache.shape[:1]:
            return "its items are collected afresh: cache_size was set otherwise when the state was saved"
        self.cache, self.kept = cache.astype(self.dtype), kept.astype(np.int64)
        self.start, self.count = (int(number) for number in labels)
        return ""

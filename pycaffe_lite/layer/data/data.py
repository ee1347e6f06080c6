"""Data: images and labels from a database."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pycaffe_lite import random
from pycaffe_lite.data.database import open_database
from pycaffe_lite.data.prefetch import Prefetcher, machine_memory, memory_of
from pycaffe_lite.data.records import RecordSource
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve

log = logging.getLogger(__name__)

# Fields of data_param that Caffe knows and does not look at, and what to write instead.
_IGNORED = {
    "scale": "transform_param.scale",
    "mean_file": "transform_param.mean_file",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
    "force_encoded_color": "transform_param.force_color",
    "rand_skip": "",
}


@register_layer("Data", param="data_param")
class DataLayer(Layer[caffe_pb2.DataParameter]):
    """Batches of a database's records in the order of their keys, again from the first after the last.

    A thread makes the batches ahead of their use, `prefetch` of them. The database is an LMDB or, as long as
    `backend` is not set, a LevelDB of Datum messages; `transform_param` says what is done to each.

    Top: the items, (N, C, H, W), of the size that the first record of the batch has, or cropped; the
    labels, (N,), where there is a second top.
    Source: BVLC/caffe src/caffe/layers/data_layer.cpp
    """

    exact_bottoms = 0
    min_tops = 1
    max_tops = 2
    also_reads = ("transform_param",)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        N = self.param.batch_size
        if not N:
            raise self.error("needs data_param.batch_size > 0")
        if not self.param.prefetch:
            raise self.error("needs data_param.prefetch > 0")
        for name, instead in _IGNORED.items():
            if self.param.HasField(name):
                hint = f": write {instead}" if instead else ""
                log.warning(
                    "layer '%s' (Data): data_param.%s has no effect, as in Caffe%s", self.name, name, hint
                )
        try:
            self._source = self._open(labels=len(top) > 1)
            shape = self._source.shape()
        except (DataError, FileLookupError) as error:
            raise self._placed(error) from None
        self._state = self._source.state()
        self._prefetcher: Prefetcher | None = None
        top[0].reshape(N, *shape)
        for labels in top[1:]:
            labels.reshape(N)
        self._check_memory(sum(blob.count for blob in top))
        log.info("output data size: %s", ",".join(str(n) for n in top[0].shape))

    def _check_memory(self, values: int) -> None:
        """Refuses to keep more batches, each of so many values, than there is room for."""
        depth = self.param.prefetch
        needed, there = memory_of(values, depth) / 2**30, machine_memory() / 2**30
        if needed > there / 2:
            raise self.error(
                f"data_param.prefetch: {depth} batches would take {needed:.3g} GiB, more than half of this "
                f"machine's {there:.3g}; the default is {type(self.param)().prefetch}"
            )

    def _open(self, labels: bool) -> RecordSource:
        folder = self.context.folder
        transformer = Transformer(self.layer_param.transform_param, self.phase, folder)
        path = resolve(self.param.source, folder)
        reader = open_database(path, self.param.backend)
        stream = random.stream()
        # Caffe seeds the transformer twice and then its thread, which never uses its seed.
        transformer.seed_from(stream)
        transformer.seed_from(stream)
        stream.raw()
        return RecordSource(reader, transformer, self.param.batch_size, labels)

    def _placed(self, error: DataError | FileLookupError) -> DataError | FileLookupError:
        return type(error)(str(self.error(str(error))))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops: each batch brings its own shape."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._prefetcher is None:
            self._prefetcher = Prefetcher(self._source, self.param.prefetch, f"data of layer '{self.name}'")
        try:
            batch = self._prefetcher.get()
        except DataError as error:
            raise self._placed(error) from None
        for blob, values in zip(top, (batch.data, batch.labels), strict=False):
            blob.reshape(values.shape)
            blob.data[...] = values
        self._state = batch.state
        self._prefetcher.give_back(batch)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""

    def state(self) -> bytes:
        """The record that the next forward pass starts with, and its draws; batches ahead do not count."""
        return self._state

    def set_state(self, state: bytes) -> str:
        if self._prefetcher is not None:
            self._prefetcher.close()
            self._prefetcher = None
        afresh = self._source.set_state(state)
        self._state = self._source.state()
        return afresh

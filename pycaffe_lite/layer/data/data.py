"""Data: batches of a database's records, made ahead."""

from __future__ import annotations

from pycaffe_lite import random
from pycaffe_lite.data.database import open_database
from pycaffe_lite.data.random_order import in_random_order
from pycaffe_lite.data.records import RecordSource
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    OF_ANNOTATED_DATA,
    OF_SEGMENTATION_DATA,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

# Fields of data_param that Caffe knows and does not look at, and what to write instead.
WITHOUT_EFFECT = {
    "scale": "transform_param.scale",
    "mean_file": "transform_param.mean_file",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
    "force_encoded_color": "transform_param.force_color",
    "rand_skip": "",
}


_NOT_OF_RECORDS = {
    **OF_ANNOTATED_DATA,
    **OF_SEGMENTATION_DATA,
    "bgr2rgb": "use a layer of type ImageData",
}


@register_layer("Data", param="data_param")
class DataLayer(PrefetchingLayer[caffe_pb2.DataParameter]):
    """Batches of a database's records in the order of their keys, again from the first after the last.

    The database is an LMDB or, as long as `backend` is not set, a LevelDB of Datum messages;
    `transform_param` says what is done to each.

    With `shuffle: true` records come in a random order, another in each pass: in an LMDB from the first on
    (Intel's fork), in a LevelDB from the second on (TSN's), as with `cache: true` in TRAIN (NVIDIA's). With
    `shuffle_pool_size` s (Cysu's) they are taken at random from a pool of s batches, once that is full.

    Top: the items, (N, C, H, W), of the size that the first record of the batch has, or cropped; the
    labels, (N,), where there is a second top.
    Source: BVLC/caffe src/caffe/layers/data_layer.cpp
    """

    min_tops = 1
    max_tops = 2
    also_reads = ("transform_param",)
    takes_share = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if not self.param.batch_size:
            raise self.error("needs data_param.batch_size > 0")
        if self.param.backend == caffe_pb2.DataParameter.IMAGEDB:
            raise self.error(
                "data_param.backend IMAGEDB is MyCaffe's SQL database, which is not supported: convert the "
                "data to an LMDB and write 'backend: LMDB'"
            )
        self.say_ignored("data_param", WITHOUT_EFFECT)
        self.say_ignored("transform_param", _NOT_OF_RECORDS)
        if not self.layer_param.transform_param.enable_classf_aug:
            self.say_ignored(
                "transform_param", dict.fromkeys(CLASSIFIER_AUGMENTATION, "set enable_classf_aug: true")
            )
        self.set_up_batches(top, self.param.batch_size)

    def open(self, labels: bool) -> RecordSource:
        transformer = self.transformer("records", without=_NOT_OF_RECORDS)
        path = resolve(self.param.source, self.context.folder)
        reader = open_database(path, self.param.backend)
        stream = random.stream()
        if self.param.shuffle or self.param.shuffle_pool_size > 1:
            reader = in_random_order(
                reader, self.param, self.phase, RandomStream(stream.raw()), self.context.share
            )
        # Caffe seeds the transformer twice and then its thread, whose seed only forks use.
        transformer.seed_from(stream)
        transformer.seed_from(stream)
        transformer.seed_preparation(stream.raw())
        return RecordSource(reader, transformer, self.param.batch_size, labels, self.context.share)

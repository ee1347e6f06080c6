"""ImageData: batches of the pictures of a list, made ahead."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from pycaffe_lite import random
from pycaffe_lite.data.image import read_named
from pycaffe_lite.data.image_list import read_list
from pycaffe_lite.data.pictures import PictureSource
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    OF_ANNOTATED_DATA,
    OF_DATA_ALONE,
    OF_SEGMENTATION_DATA,
    OF_VIDEO_DATA,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve

log = logging.getLogger(__name__)

# Fields of image_data_param that Caffe knows and does not look at, and what to write instead.
_IGNORED = {
    "scale": "transform_param.scale",
    "mean_file": "transform_param.mean_file",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
    **dict.fromkeys(("label_type", "ignore_label"), "use a layer of type ImageSegData"),
    "normalize": "use a layer of type ImageLabelmapData",
}
_FOR_RECORDS = {
    "force_color": "image_data_param.is_color",
    "force_gray": "image_data_param.is_color",
    "flow": "",
    **OF_ANNOTATED_DATA,
    **OF_SEGMENTATION_DATA,
    **CLASSIFIER_AUGMENTATION,
}


@register_layer("ImageData", param="image_data_param")
class ImageDataLayer(PrefetchingLayer[caffe_pb2.ImageDataParameter]):
    """Batches of pictures from files, in the order of a list or shuffled, around and around.

    `source` is a text file with a line for each picture: its file, a space, its label. The files are looked
    for behind `root_folder`, which is put before their names as it is. Pictures are read in colour, or in
    grey where `is_color` is false, and resized where `new_height` and `new_width` are given, or by forks'
    `short_side`, or `min_height` and `min_width`; then comes what
    `transform_param` says. With `shuffle` each epoch has another order; with `rand_skip` the first begins
    somewhere among the first `rand_skip` pictures.

    Top: the pictures, (N, C, H, W), blue first, of the size that the first of the batch has, or cropped; the
    labels, (N,).
    Source: BVLC/caffe src/caffe/layers/image_data_layer.cpp
    """

    exact_tops = 2
    also_reads = ("transform_param", "data_param")
    takes_share = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if not p.batch_size:
            raise self.error("needs image_data_param.batch_size > 0")
        if bool(p.new_height) != bool(p.new_width):
            raise self.error(
                "needs both image_data_param.new_height and new_width above 0, or neither, "
                f"got {p.new_height} and {p.new_width}"
            )
        if bool(p.min_height) != bool(p.min_width):
            raise self.error(
                "needs both image_data_param.min_height and min_width above 0, or neither, "
                f"got {p.min_height} and {p.min_width}"
            )
        self.say_ignored("image_data_param", {**_IGNORED, **OF_VIDEO_DATA})
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.say_ignored("transform_param", _FOR_RECORDS)
        self.set_up_batches(top, p.batch_size)

    def open(self, labels: bool) -> PictureSource:
        p, folder, stream = self.param, self.context.folder, random.stream()
        transformer = self.transformer("pictures", without=_FOR_RECORDS)
        transformer.seed_from(stream)  # in vain, as in Caffe: it is seeded again below
        path = resolve(p.source, folder)
        log.info("Opening file %s", path)
        pictures = read_list(path)
        shuffler_seed = None
        if p.shuffle:
            log.info("Shuffling data")
            shuffler_seed = self.context.share.agree(stream.raw())
        log.info("A total of %d images.", len(pictures.names))
        start = 0
        if p.rand_skip:
            start = self.context.share.agree(stream.below(p.rand_skip))
            log.info("Skipping first %d data points.", start)
            if start >= len(pictures.names):
                count = len(pictures.names)
                raise DataError(
                    f"rand_skip {p.rand_skip} leaves out the first {start} pictures of '{path}' this time, "
                    f"which has {count}: make it {count} at most"
                )
        transformer.seed_from(stream)
        transformer.seed_preparation(stream.raw())  # the seed of the thread, which only forks use
        return PictureSource(
            pictures,
            lambda name: resolve(p.root_folder + name, folder),
            transformer,
            p.batch_size,
            p.is_color,
            (p.new_height, p.new_width) if p.new_height else None,
            shuffler_seed,
            start,
            self._sizing(),
            lambda name: read_named(p.root_folder + name, folder, p.is_color, packed=False),
            self.context.share,
        )

    def _sizing(self) -> Callable[[int, int], tuple[int, int]] | None:
        """How a picture's size follows from its own; None: new_height and new_width say it, or it stays."""
        p = self.param
        if p.short_side:
            return partial(_by_short_side, p.short_side)
        if p.min_height and not p.new_height:
            return partial(_enlarged, p.min_height, p.min_width)
        return None


def _by_short_side(side: int, height: int, width: int) -> tuple[int, int]:
    """The shorter side gets a length, the other follows and loses its fraction. Source: NVIDIA/caffe."""
    if height < width:
        return side, width * side // height
    return height * side // width, side


def _enlarged(least_height: int, least_width: int, height: int, width: int) -> tuple[int, int]:
    """A smaller picture gets one of two lengths, where more of it is missing. Source: intel/caffe."""
    if height >= least_height and width >= least_width:
        return height, width
    if least_width - width > least_height - height:
        return int(least_width * height / width + 0.5), least_width
    return least_height, int(least_height * width / height + 0.5)

"""DenseImageData and ImageSegData: batches of pictures with a label for each pixel, made ahead."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pycaffe_lite import random
from pycaffe_lite.data.picture_pairs import (
    LabelmapTransform,
    Labels,
    PairSource,
    PairTransform,
    SegSource,
    StridedTransform,
    read_pairs,
)
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    COLOR_ORDERS,
    CROPS_OF_FORKS,
    OF_ANNOTATED_DATA,
    OF_DATA_ALONE,
    OF_SEGMENTATION_DATA,
    OF_VIDEO_DATA,
    PREPARATIONS,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

P = TypeVar("P", caffe_pb2.DenseImageDataParameter, caffe_pb2.ImageDataParameter)
AnyP = TypeVar("AnyP")

_OF_SEG_DATA = ("scale_ratios", "stride", "upper_size", "upper_height", "upper_width")
# Fields of transform_param that have no effect on pairs of pictures.
_WITHOUT_EFFECT = {
    **OF_ANNOTATED_DATA,
    **dict.fromkeys(("force_color", "force_gray"), "write is_color instead"),
    **PREPARATIONS,
    **COLOR_ORDERS,
    **CROPS_OF_FORKS,
    **CLASSIFIER_AUGMENTATION,
    **dict.fromkeys(("stride", "upper_size", "upper_height", "upper_width"), "use a layer of type SegData"),
    **dict.fromkeys(("crop_h", "crop_w"), ""),
}
_NOT_OF_SEG_DATA = {
    **{name: cure for name, cure in _WITHOUT_EFFECT.items() if name not in _OF_SEG_DATA},
    **dict.fromkeys(("crop_size", "crop_height", "crop_width", "scale_factors"), ""),
}
_OF_IMAGE_DATA = {
    "scale": "transform_param.scale",
    "mean_file": "transform_param.mean_value",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
    **dict.fromkeys(("min_height", "min_width", "short_side"), ""),
    **OF_VIDEO_DATA,
}
# The seed of the stream that shuffles in SegData: it stands in the fork's code.
_SEG_SEED = 17


class AlikeLayer(PrefetchingLayer[AnyP]):
    """Does the same to pictures and to the labels of their pixels."""

    also_reads = ("transform_param", "data_param")

    def plain_transformer(self) -> Transformer:
        """One for mean and scale alone."""
        own, plain = self.layer_param.transform_param, caffe_pb2.TransformationParameter()
        plain.mean_value.extend(own.mean_value)
        plain.scale = own.scale
        if own.HasField("mean_file"):
            plain.mean_file = own.mean_file
        return Transformer(plain, self.phase, self.context.folder, "pictures")


class PairsLayer(AlikeLayer[P]):
    """Reads a list, with a line for each picture: its file, blanks, and what labels it."""

    takes_share = True
    label_kind = Labels.PIXEL
    smooth_labels = False

    def pairs(self) -> PairTransform:
        """What is done to each picture and its labels.

        Raises:
            DataError: it cannot be done.
        """
        raise NotImplementedError

    def set_up_pairs(self, top: Blobs) -> None:
        """Checks what both types have, opens the list and shapes the tops."""
        p = self.param
        if not p.batch_size:
            raise self.error("needs a batch_size > 0")
        if bool(p.new_height) != bool(p.new_width):
            raise self.error(
                "needs both new_height and new_width above 0, or neither, "
                f"got {p.new_height} and {p.new_width}"
            )
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.set_up_batches(top, p.batch_size)
        N, _, height, width = top[0].shape
        top[1].reshape(N, 1, height, width)
        for sizes in top[2:]:
            sizes.reshape(N, 1, 1, 2)

    def open(self, labels: bool) -> PairSource:
        p, folder, stream = self.param, self.context.folder, random.stream()
        pairs = self.pairs()
        if pairs.draws:
            stream.raw()  # in vain, as in Caffe: the transformer is seeded again below
        path = resolve(p.source, folder)
        log.info("Opening file %s", path)
        pictures, others = read_pairs(path, self.label_kind)
        share = self.context.share
        seed = share.agree(stream.raw()) if p.shuffle else None
        log.info("A total of %d examples.", len(others))
        start = 0
        if p.rand_skip:
            start = share.agree(stream.below(p.rand_skip))
            log.info("Skipping first %d data points.", start)
        if start >= len(others):
            raise DataError(
                f"rand_skip {p.rand_skip} leaves out the first {start} pictures of '{path}' this time, which "
                f"has {len(others)}: make it {len(others)} at most"
            )
        own = RandomStream(stream.raw() if pairs.draws else 0)
        stream.raw()  # the seed of the thread
        locate: Callable[[str], Path] = lambda name: resolve(p.root_folder + name, folder)  # noqa: E731
        size = (p.new_height, p.new_width) if p.new_height else None
        return PairSource(
            pictures, others, self.label_kind, locate, self.plain_transformer(), own, p.batch_size,
            p.is_color, size, seed, start, self.smooth_labels, pairs, share,
        )  # fmt: skip


@register_layer("DenseImageData", param="dense_image_data_param", origin="SegNet")
class DenseImageDataLayer(PairsLayer[caffe_pb2.DenseImageDataParameter]):
    """Batches of pictures and of grey pictures whose values are the classes of their pixels.

    Lines of `source`: picture, blanks, labels. Both are resized where `new_height` and `new_width` are given,
    the labels without making new values. Pictures of several sizes need batch_size 1.

    Top: pictures, (N, C, H, W), less the mean and times the scale of transform_param; labels, (N, 1, H, W).
    Raises LayerError for crops and mirroring, which the fork does not have either.
    Source: alexgkendall/caffe-segnet src/caffe/layers/dense_image_data_layer.cpp
    """

    exact_tops = 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        transform, p = self.layer_param.transform_param, self.param
        wanted = [name for name in ("crop_size", "crop_height", "crop_width") if getattr(transform, name)]
        wanted += [name for name in ("crop_height", "crop_width") if getattr(p, name)]
        if wanted or transform.mirror or p.mirror:
            what = wanted[0] if wanted else "mirror"
            raise self.error(f"{what} is not supported, as in the fork: use a layer of type ImageSegData")
        self.say_ignored("transform_param", {**_WITHOUT_EFFECT, "scale_factors": ""})
        self.say_ignored("dense_image_data_param", {"mean_file": "transform_param.mean_file"})
        self.set_up_pairs(top)

    def pairs(self) -> PairTransform:
        transform = caffe_pb2.TransformationParameter()
        return PairTransform(transform, self.phase)


@register_layer("ImageSegData", param="image_data_param", origin="PSPNet")
class ImageSegDataLayer(PairsLayer[caffe_pb2.ImageDataParameter]):
    """Batches of pictures with a label for each pixel, mirrored, scaled and cropped alike at random.

    Lines of `source`: picture, blanks, and by `label_type` nothing (NONE), the class of the whole picture
    (IMAGE, the default) or a grey picture of classes (PIXEL). In order: `mirror`; one of `scale_factors`;
    `mean_value`, and labels `ignore_label`, on the right and below, where a picture is smaller than a crop;
    crops of crop_height x crop_width or crop_size, at random in TRAIN; mean and scale.

    Top: pictures, (N, C, h, w); labels, (N, 1, h, w); heights and widths of the pictures, (N, 1, 1, 2), those
    of the crops at most.
    Raises LayerError for mean_file, and sizes given by half.
    Source: hszhao/PSPNet src/caffe/layers/image_seg_data_layer.cpp
    """

    min_tops, max_tops = 2, 3
    smooth_labels = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        transform = self.layer_param.transform_param
        if transform.HasField("mean_file"):
            raise self.error("needs mean_value instead of transform_param.mean_file")
        if min(transform.scale_factors, default=1) <= 0:
            raise self.error(f"needs scale_factors above 0, got {min(transform.scale_factors):g}")
        if not 0 <= self.param.ignore_label <= 255:
            raise self.error(f"needs an ignore_label from 0 to 255, got {self.param.ignore_label}")
        self.label_kind = Labels(caffe_pb2.ImageDataParameter.LabelType.Name(self.param.label_type))
        self.say_ignored("transform_param", _WITHOUT_EFFECT)
        self.say_ignored(
            "image_data_param", {**_OF_IMAGE_DATA, "normalize": "use a layer of type ImageLabelmapData"}
        )
        self.set_up_pairs(top)

    def pairs(self) -> PairTransform:
        transform = self.layer_param.transform_param
        size = transform.crop_size
        crop = transform.crop_height or size, transform.crop_width or size
        if any(crop) and not all(crop):
            raise DataError(f"needs both crop_height and crop_width, got {crop[0]} and {crop[1]}")
        return PairTransform(
            transform, self.phase, crop, self.param.ignore_label, tuple(transform.scale_factors)
        )


@register_layer("ImageLabelmapData", param="image_data_param", origin="HED")
class ImageLabelmapDataLayer(PairsLayer[caffe_pb2.ImageDataParameter]):
    """Batches of pictures and of grey pictures of labels, mirrored and cropped alike at random.

    Lines of `source`: picture, blanks, labels. Both are resized where `new_height` and `new_width` are given,
    then a square of crop_size is cut out at random, in TEST, too, and half of them are mirrored. Labels are
    divided by 255 and rounded, so that they are 0 or 1, unless `normalize` is false, a field of later copies.

    Top: pictures, (N, C, h, w), less the mean and times the scale of transform_param; labels, (N, 1, h, w).
    Raises LayerError for mean_file.
    Source: s9xie/hed src/caffe/layers/image_labelmap_data_layer.cpp
    """

    exact_tops = 2
    smooth_labels = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.layer_param.transform_param.HasField("mean_file"):
            raise self.error("needs mean_value instead of transform_param.mean_file")
        self.say_ignored(
            "transform_param",
            {**_WITHOUT_EFFECT, **OF_SEGMENTATION_DATA, **dict.fromkeys(("crop_height", "crop_width"), "")},
        )
        self.say_ignored(
            "image_data_param",
            {**_OF_IMAGE_DATA, **dict.fromkeys(("label_type", "ignore_label"), "use type ImageSegData")},
        )
        self.set_up_pairs(top)

    def pairs(self) -> PairTransform:
        transform = self.layer_param.transform_param
        crop = transform.crop_size, transform.crop_size
        return LabelmapTransform(transform, self.phase, crop, self.param.normalize)


@register_layer("SegData", param="seg_data_param", origin="TSN")
class SegDataLayer(AlikeLayer[caffe_pb2.SegDataParameter]):
    """A picture and the labels of its pixels at a time, mirrored, scaled and cropped alike at random.

    Lines of `source`: picture, blanks, labels, a grey picture of classes; `root_dir` is put before both. By
    transform_param: `mirror`; a factor between the two `scale_ratios`; a crop somewhere whose sides are the
    largest multiples of `stride`, at most upper_size, or upper_height and upper_width; mean and scale. All
    this is done in TEST as well. `shuffle` gives the same order each time the net is made, as in the fork.

    Top: the picture, (1, 3, h, w); labels, (1, 1, h, w). h and w change from picture to picture.
    Raises LayerError for mean_file, and ratios and strides that are not above 0.
    Source: yjxiong/caffe src/caffe/layers/seg_data_layer.cpp and src/caffe/data_transformer.cpp
    """

    exact_tops = 2

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.layer_param.transform_param.HasField("mean_file"):
            raise self.error("needs mean_value instead of transform_param.mean_file")
        self.say_ignored("transform_param", _NOT_OF_SEG_DATA)
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.set_up_batches(top, 1)
        top[1].reshape(1, 1, *top[0].shape[2:])

    def open(self, labels: bool) -> SegSource:
        p, folder, stream = self.param, self.context.folder, random.stream()
        transform = StridedTransform(self.layer_param.transform_param)
        stream.raw()  # in vain, as in the fork: the transformer is seeded again below
        path = resolve(p.source, folder)
        log.info("Opening file: %s", path)
        pictures, others = read_pairs(path, Labels.PIXEL)
        log.info("A total of %d images.", len(others))
        own = RandomStream(stream.raw())
        locate: Callable[[str], Path] = lambda name: resolve(p.root_dir + name, folder)  # noqa: E731
        transformer = self.plain_transformer()
        seed = _SEG_SEED if p.shuffle else None
        return SegSource(pictures, others, locate, transformer, own, seed, transform, p.balance)

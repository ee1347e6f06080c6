"""PrefetchingLayer: what data layers share whose batches are made ahead by threads."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.fork_transformer import transformer_of
from pycaffe_lite.data.prefetch import Batch, Prefetcher, Source, machine_memory, memory_of
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.forks import is_fork_field

log = logging.getLogger(__name__)

# Fields of data_param that say nothing to other layers than Data, all but `prefetch`.
OF_DATA_ALONE = {
    field.name: "" for field in caffe_pb2.DataParameter.DESCRIPTOR.fields if field.name != "prefetch"
}

# Fields of image_data_param that V1 layers of type VIDEO_DATA have.
OF_VIDEO_DATA = dict.fromkeys(("new_length", "use_image", "sampling_rate"), "use a layer of type VideoData")

# Fields of transform_param that only some types of layers read.
OF_ANNOTATED_DATA = dict.fromkeys(
    ("emit_constraint", "distort_param", "expand_param"), "use a layer of type AnnotatedData"
)
OF_SEGMENTATION_DATA = {
    "scale_factors": "use a layer of type ImageSegData",
    **dict.fromkeys(("stride", "upper_size", "upper_height", "upper_width"), "use a layer of type SegData"),
}
# Steps that come before crops, and what forks do to crops, for layers that do them in another way, or not.
PREPARATIONS = dict.fromkeys(
    ("resize_param", "noise_param", "random_resize_param", "random_aspect_ratio_param"), ""
)
COLOR_ORDERS = dict.fromkeys(("bgr2rgb", "cvt_bgr2rgb"), "")
CLASSIFIER_AUGMENTATION = dict.fromkeys(
    (
        "enable_classf_aug", "min_side", "min_side_min", "min_side_max", "max_rotation_angle",
        "contrast_brightness_adjustment", "smooth_filtering", "min_contrast", "max_contrast",
        "max_brightness_shift", "max_smooth", "max_color_shift", "apply_probability",
    ),
    "",
)  # fmt: skip
CROPS_OF_FORKS = dict.fromkeys(
    (
        "fix_crop", "more_fix_crop", "multi_scale", "scale_ratios", "max_distort", "is_flow",
        "original_image", "pad", "flow", "multi_scale_levels", "center_crop",
    ),
    "",
)  # fmt: skip
NOT_OF_CLIPS = {
    **PREPARATIONS,
    **COLOR_ORDERS,
    **CLASSIFIER_AUGMENTATION,
    **dict.fromkeys(("force_color", "force_gray"), ""),
    **dict.fromkeys(("original_image", "pad", "flow", "multi_scale_levels"), ""),
}

P = TypeVar("P")


class ResumableSource(Source, Protocol):
    """A source of batches that can go on from where it was."""

    def shape(self) -> tuple[int, ...]:
        """Shape of the items to come, transformed."""

    def state(self) -> bytes:
        """Where it stands."""

    def set_state(self, state: bytes) -> str:
        """Goes on from there; returns what starts afresh instead, in words."""


class SharedSource(ResumableSource, Protocol):
    """A source of batches of which several layers can take a share each."""

    def size(self) -> str:
        """What it holds, in words."""

    def join(self, state: bytes, rank: int) -> str:
        """Goes on `rank` shares behind there; returns what starts afresh instead, in words."""


class PrefetchingLayer(Layer[P]):
    """Threads make the batches ahead of their use, as many batches as `data_param.prefetch` says.

    The batches are the same for any number of threads.
    """

    # A type gives `open`, and calls `set_up_batches` in its setup.
    exact_bottoms = 0
    reads_in_order = True

    def open(self, labels: bool) -> ResumableSource:
        """The source of the batches, each with labels or without."""
        raise NotImplementedError

    def say_ignored(self, param: str, fields: dict[str, str]) -> None:
        """Warns of fields of a message that are given and have no effect.

        Args:
            param: the field of LayerParameter that holds the message, "data_param".
            fields: those without effect, each with what to write instead, which may be empty.
        """
        message = getattr(self.layer_param, param)
        given = {field.name for field, _ in message.ListFields()}
        for field, instead in fields.items():
            if field in given:
                log.warning(
                    "layer '%s' (%s): %s.%s has no effect, as in %s%s",
                    self.name,
                    self.type,
                    param,
                    field,
                    "its fork" if is_fork_field(message.DESCRIPTOR.name, field) else "Caffe",
                    f": {instead}" if " " in instead else f": write {instead}" if instead else "",
                )

    def set_up_batches(self, top: Blobs, batch_size: int) -> None:
        """Opens the source and shapes the tops; no thread is started yet."""
        if not self.layer_param.data_param.prefetch:
            raise self.error("needs data_param.prefetch > 0")
        try:
            self._source = self.open(labels=len(top) > 1)
            shape = self._source.shape()
        except (DataError, FileLookupError) as error:
            raise self._placed(error) from None
        self._state = self._source.state()
        self._prefetcher: Prefetcher | None = None
        self._seconds_waited = 0.0
        top[0].reshape(batch_size, *shape)
        for labels in top[1:]:
            labels.reshape(batch_size)
        self._check_memory(sum(blob.count for blob in top))
        log.info("output data size: %s", ",".join(str(n) for n in top[0].shape))

    def _check_memory(self, values: int) -> None:
        """Refuses to keep more batches, each of so many values, than there is room for."""
        depth = self.layer_param.data_param.prefetch
        needed, there = memory_of(values, depth) / 2**30, machine_memory() / 2**30
        if needed > there / 2:
            raise self.error(
                f"data_param.prefetch: {depth} batches would take {needed:.3g} GiB, more than half of this "
                f"machine's {there:.3g}; the default is {caffe_pb2.DataParameter().prefetch}"
            )

    def transformer(self, images: str, *, prepares: bool = True, without: Iterable[str] = ()) -> Transformer:
        """That of the layer's transform_param, not seeded.

        Args:
            images: what it calls them in messages. prepares: whether it does what comes before the crop.
            without: fields that have no effect in layers of this type.
        """
        param, folder = self.known_transform(without), self.context.folder
        return transformer_of(param, self.phase, folder, images, prepares)

    def known_transform(self, without: Iterable[str]) -> caffe_pb2.TransformationParameter:
        """The layer's transform_param without some fields."""
        param = caffe_pb2.TransformationParameter()
        param.CopyFrom(self.layer_param.transform_param)
        for field in without:
            param.ClearField(field)
        return param

    def _placed(self, error: DataError | FileLookupError) -> DataError | FileLookupError:
        return type(error)(str(self.error(str(error))))

    @property
    def seconds_waited(self) -> float:
        """For how long forward passes have waited for their batches, in all."""
        return self._seconds_waited + (self._prefetcher.seconds_waited if self._prefetcher else 0.0)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops: each batch brings its own shape."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._prefetcher is None:
            depth = self.layer_param.data_param.prefetch
            self._prefetcher = Prefetcher(self._source, depth, f"data of layer '{self.name}'")
        try:
            batch = self._prefetcher.get()
        except (DataError, FileLookupError) as error:
            raise self._placed(error) from None
        top[0].reshape(batch.shape)
        batch.write_data(top[0].data)
        for blob, values in zip(top[1:], self.further_values(batch), strict=False):
            blob.reshape(values.shape)
            blob.data[...] = values
        self._state = batch.state
        self._prefetcher.give_back(batch)

    def further_values(self, batch: Batch) -> Sequence[npt.NDArray[np.float32]]:
        """The values of the tops behind the first, in their order; more than there are, perhaps."""
        return batch.labels, batch.sizes

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""

    def state(self) -> bytes:
        """The item that the next forward pass starts with, and its draws; batches ahead do not count."""
        return self._state

    def set_state(self, state: bytes) -> str:
        self._stop_reading()
        afresh = self._source.set_state(state)
        self._state = self._source.state()
        return afresh

    def _stop_reading(self) -> None:
        """Ends the threads; the batches that they have made ahead are lost."""
        if self._prefetcher is not None:
            self._seconds_waited = self.seconds_waited
            self._prefetcher.close()
            self._prefetcher = None

    def source_size(self) -> str:
        return cast(SharedSource, self._source).size() if self.takes_share else ""

    def join(self, state: bytes, rank: int) -> str:
        if not self.takes_share:
            return super().join(state, rank)
        self._stop_reading()
        # What has been read ahead does not count: its draws are taken back as well.
        self._source.set_state(self._state)
        afresh = cast(SharedSource, self._source).join(state, rank)
        self._state = self._source.state()
        return afresh

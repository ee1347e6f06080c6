"""VideoData: batches of clips of videos, made ahead."""

from __future__ import annotations

import logging
from typing import ClassVar

from pycaffe_lite import random
from pycaffe_lite.data.clips import (
    C3D_PATTERN,
    FLOW_PATTERN,
    RGB_PATTERN,
    ClipSource,
    Segments,
    read_clips,
)
from pycaffe_lite.data.fork_transformer import ClipTransformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    NOT_OF_CLIPS,
    OF_ANNOTATED_DATA,
    OF_DATA_ALONE,
    OF_SEGMENTATION_DATA,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

VideoDataParameter = caffe_pb2.VideoDataParameter

# Fields of the forks' messages that their layers do not look at, and what to write instead.
_IGNORED = {
    "scale": "transform_param.scale",
    "mean_file": "transform_param.mean_file",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
    "encoded": "",
}
_OF_SSD = ("video_type", "device_id", "video_file", "skip_frames")
_OF_TSN = ("num_segments", "modality", "name_pattern", "encoded", "grayscale")


def is_of_video_caffe(layer: caffe_pb2.LayerParameter) -> bool:
    """Whether a layer is video-caffe's: it has none of the fields that only TSN's layer and SSD's have."""
    param = layer.video_data_param
    return not any(param.HasField(name) for name in (*_OF_SSD, *_OF_TSN))


class ClipsLayer(PrefetchingLayer[caffe_pb2.VideoDataParameter]):
    """Reads a list of clips whose frames are pictures in folders."""

    exact_tops = 2
    also_reads = ("transform_param", "data_param")
    # What the number of a line is; whether tops have an axis of frames.
    number = ""
    split = False
    ignored: ClassVar[dict[str, str]]

    def batch_size(self) -> int:
        """How many clips a batch has."""
        return self.param.batch_size

    def segments(self) -> Segments:
        """Which frames a clip is made of."""
        raise NotImplementedError

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if any(p.HasField(name) for name in _OF_SSD):
            raise self.error(
                "reads a camera or a video file in SSD's fork, which cannot be had here: make pictures of "
                "the frames (ffmpeg -i film.mp4 film/image_%04d.jpg) and name them in a list, or hand them "
                "over by a layer of type Input or MemoryData"
            )
        if not self.batch_size():
            raise self.error("needs video_data_param.batch_size > 0")
        if not p.new_length or not p.num_segments:
            raise self.error(
                f"needs new_length and num_segments above 0, got {p.new_length}, {p.num_segments}"
            )
        if bool(p.new_height) != bool(p.new_width):
            raise self.error(
                "needs both new_height and new_width above 0, or neither, "
                f"got {p.new_height} and {p.new_width}"
            )
        self.say_ignored("video_data_param", self.ignored)
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.say_ignored("transform_param", {**OF_ANNOTATED_DATA, **OF_SEGMENTATION_DATA, **NOT_OF_CLIPS})
        self.set_up_batches(top, self.batch_size())

    def clip_transformer(self, frames: int) -> ClipTransformer:
        """That of clips of so many frames."""
        transform = self.known_transform(NOT_OF_CLIPS)
        return ClipTransformer(transform, self.phase, self.context.folder, frames, self.split)

    def open(self, labels: bool) -> ClipSource:
        p, folder, stream = self.param, self.context.folder, random.stream()
        segments = self.segments()
        transformer = self.clip_transformer(p.new_length)
        transformer.seed_from(stream)  # in vain, as in Caffe: it is seeded again below
        path = resolve(p.source, folder)
        log.info("Opening file %s", path)
        clips, numbers = read_clips(path, self.number)
        seed = stream.raw() if p.shuffle else None
        log.info("A total of %d videos.", len(clips.names))
        root = p.root_folder if self.split else ""
        start, places = self.begin(len(clips.names), stream)
        transformer.seed_from(stream)
        return ClipSource(
            clips, numbers, segments, places, self.split, lambda name: resolve(root + name, folder),
            transformer, self.batch_size(), (p.new_height, p.new_width) if p.new_height else None, seed,
            start,
        )  # fmt: skip

    def begin(self, count: int, stream: RandomStream) -> tuple[int, RandomStream | None]:
        """The first line, and the stream from which places of segments are drawn, if any are.

        Args:
            count: of lines. stream: from which seeds are drawn.
        """
        raise NotImplementedError


@register_layer("VideoData", param="video_data_param", origin="TSN")
class TsnVideoDataLayer(ClipsLayer):
    """Batches of clips: some frames of each of several parts of a video, as pictures or as optical flow.

    A line of `source` has a folder, the number of its frames, and a label. The video is cut into
    `num_segments` equal parts; of each, `new_length` frames are taken from a random place in TRAIN, and from
    the middle in TEST. Frames are files named by `name_pattern`, from 1 on: for modality RGB image_%04d.jpg,
    for FLOW flow_%c_%04d.jpg with x and y. They are resized where `new_height` and `new_width` are given;
    all of a clip are cropped and mirrored alike, by transform_param, whose `is_flow`, `multi_scale` and
    `fix_crop` are TSN's. A list of mean values is repeated for all channels.

    Top: clips, (N, segments * length * C, h, w), where C is 3, or 1 with `grayscale`, or 2 of flow; labels,
    (N, 1, 1, 1).
    Raises LayerError for SSD's layer of this name, which reads cameras and video files.
    Source: yjxiong/caffe src/caffe/layers/video_data_layer.cpp and src/caffe/util/io.cpp
    """

    number = "the number of its frames"
    ignored: ClassVar[dict[str, str]] = {
        **_IGNORED,
        "rand_skip": "",
        "is_color": "grayscale: true",
        **dict.fromkeys(("root_folder", "use_image", "sampling_rate"), ""),
    }

    def segments(self) -> Segments:
        p = self.param
        flow = p.modality == VideoDataParameter.FLOW
        pattern = p.name_pattern or (FLOW_PATTERN if flow else RGB_PATTERN)
        segments = Segments(p.num_segments, p.new_length, pattern, flow, not flow and not p.grayscale)
        segments.check()
        return segments

    def begin(self, count: int, stream: RandomStream) -> tuple[int, RandomStream | None]:
        places = RandomStream(stream.raw())
        places.raw_array(self.param.num_segments)  # for the clip that tells the shape
        return 0, places if self.phase == caffe_pb2.TRAIN else None

    def set_up_batches(self, top: Blobs, batch_size: int) -> None:
        super().set_up_batches(top, batch_size)
        top[1].reshape(batch_size, 1, 1, 1)


@register_layer(
    "VideoData", param="video_data_param", origin="video-caffe and C3D", applies=is_of_video_caffe
)
class VideoCaffeDataLayer(ClipsLayer):
    """Batches of clips with an axis for their frames.

    A line of `source` has a folder behind `root_folder`, the number of the clip's first frame, from 1 on, and
    a label. The `new_length` frames are the files image_%04d.jpg, or with C3D's `use_image: true` %06d.jpg,
    of which every `sampling_rate`th is taken; they are resized where `new_height` and `new_width` are given,
    and all of a clip are cropped and mirrored alike, by transform_param.

    A VideoData layer is video-caffe's unless it has fields of TSN's or of SSD's: `num_segments`,
    `modality`, `name_pattern`, `grayscale`, `encoded`, or `video_type`, `video_file`, `device_id`.

    Top: clips, (N, C, new_length, h, w); labels, (N,).
    Source: chuckcho/video-caffe and facebookarchive/C3D (C3D-v1.1), src/caffe/layers/video_data_layer.cpp
    """

    number = "the number of its first frame"
    split = True
    ignored: ClassVar[dict[str, str]] = _IGNORED

    def batch_size(self) -> int:
        return self.param.batch_size if self.param.HasField("batch_size") else 1

    def segments(self) -> Segments:
        p = self.param
        if not p.use_image:
            if p.HasField("use_image") or p.HasField("sampling_rate"):
                raise DataError("needs use_image: true: without it, C3D's layer reads video files")
            return Segments(1, p.new_length, RGB_PATTERN, False, p.is_color)
        if not p.sampling_rate:
            raise DataError("needs a sampling_rate above 0")
        return Segments(1, p.new_length, C3D_PATTERN, False, True, p.sampling_rate)

    def begin(self, count: int, stream: RandomStream) -> tuple[int, RandomStream | None]:
        start = stream.below(self.param.rand_skip) if self.param.rand_skip else 0
        if start >= count:
            raise DataError(
                f"rand_skip {self.param.rand_skip} leaves out the first {start} clips this time, of {count}: "
                f"make it {count} at most"
            )
        return start, None

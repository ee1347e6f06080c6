"""WindowData: batches of windows that are cut out of pictures, made ahead."""

from __future__ import annotations

import logging

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.data.transformer import read_mean
from pycaffe_lite.data.window_list import read_windows
from pycaffe_lite.data.windows import Cutting, Floats, WindowSource
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.data.prefetching import (
    CLASSIFIER_AUGMENTATION,
    COLOR_ORDERS,
    CROPS_OF_FORKS,
    OF_ANNOTATED_DATA,
    OF_DATA_ALONE,
    OF_SEGMENTATION_DATA,
    PREPARATIONS,
    PrefetchingLayer,
)
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

# Fields that Caffe knows and does not look at, and what to write instead.
_IGNORED = {
    "mean_file": "transform_param.mean_file",
    "crop_size": "transform_param.crop_size",
    "mirror": "transform_param.mirror",
}
_NOT_OF_WINDOWS = {
    "scale": "window_data_param.scale",
    **dict.fromkeys(("force_color", "force_gray"), ""),
    **PREPARATIONS,
    **COLOR_ORDERS,
    **CROPS_OF_FORKS,
    **CLASSIFIER_AUGMENTATION,
    **dict.fromkeys(("crop_h", "crop_w", "crop_height", "crop_width"), "write crop_size instead"),
    **OF_ANNOTATED_DATA,
    **OF_SEGMENTATION_DATA,
}
_CHANNELS = 3


@register_layer("WindowData", param="window_data_param")
class WindowDataLayer(PrefetchingLayer[caffe_pb2.WindowDataParameter]):
    """Batches of windows drawn from a list, cut out of their pictures and warped to one size.

    `source` lists pictures and their windows (see `data/window_list.py`). Of a batch, `fg_fraction` are
    windows whose overlap with an object is `fg_threshold` or more, after others whose overlap is below
    `bg_threshold` and whose label is 0. `crop_size` of transform_param is the size of an item, of which
    `context_pad` pixels on each side show what is around the window; with `crop_mode` "square" the
    window is widened to a square first. What lies outside the picture is zeros. Values are
    (x − mean) · scale, `mirror` and the mean being those of transform_param, `scale` this layer's own.

    Top: the windows, (N, 3, crop_size, crop_size), blue first; the labels, (N,).
    Source: BVLC/caffe src/caffe/layers/window_data_layer.cpp
    """

    exact_tops = 2
    reads_in_order = False  # it draws its windows
    also_reads = ("transform_param", "data_param")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p, transform = self.param, self.layer_param.transform_param
        if not p.batch_size:
            raise self.error("needs window_data_param.batch_size > 0")
        if not transform.crop_size:
            raise self.error("needs transform_param.crop_size > 0, the size of the items")
        if p.crop_mode not in ("warp", "square"):
            raise self.error(f'needs crop_mode "warp" or "square", got "{p.crop_mode}"')
        if 2 * p.context_pad >= transform.crop_size:
            raise self.error(
                f"needs a context_pad below half of crop_size {transform.crop_size}, got {p.context_pad}"
            )
        if not 0 <= p.fg_fraction <= 1:
            raise self.error(f"needs fg_fraction from 0 to 1, got {p.fg_fraction:g}")
        self.say_ignored("window_data_param", _IGNORED)
        self.say_ignored("transform_param", _NOT_OF_WINDOWS)
        self.say_ignored("data_param", OF_DATA_ALONE)
        self.set_up_batches(top, p.batch_size)

    def open(self, labels: bool) -> WindowSource:
        p, transform = self.param, self.layer_param.transform_param
        folder, stream = self.context.folder, random.stream()
        # Caffe makes a transformer, which it does not use, and seeds it twice; and its thread, likewise.
        transformer = self.transformer("pictures", prepares=False, without=CROPS_OF_FORKS)
        transformer.seed_from(stream)
        path = resolve(p.source, folder)
        log.info("Opening file %s", path)
        windows = read_windows(path, p.fg_threshold, p.bg_threshold)
        log.info("Number of images: %d", len(windows.names))
        log.info(
            "Number of windows: %d foreground, %d background; cache_images: %s",
            len(windows.foreground.labels),
            len(windows.background.labels),
            str(p.cache_images).lower(),
        )
        sampler = RandomStream(stream.raw())
        transformer.seed_from(stream)
        stream.raw()
        cutting = Cutting(
            transform.crop_size,
            p.context_pad,
            p.crop_mode == "square",
            transform.mirror,
            p.scale,
            self._mean(),
        )
        foreground = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        return WindowSource(
            windows,
            lambda name: resolve(p.root_folder + name, folder),
            cutting,
            p.batch_size,
            foreground,
            sampler,
            p.cache_images,
        )

    def _mean(self) -> Floats:
        transform = self.layer_param.transform_param
        if transform.HasField("mean_file"):
            mean = read_mean(resolve(transform.mean_file, self.context.folder))
            size = transform.crop_size
            C, H, W = mean.shape if mean.ndim == 3 else (0, 0, 0)
            # Caffe takes the middle by the width, in both directions.
            if C != _CHANNELS or size > W or (W - size) // 2 + size > H:
                raise DataError(
                    f"mean_file '{transform.mean_file}' has shape {mean.shape}, of whose middle no "
                    f"{(_CHANNELS, size, size)} can be taken: make the mean of larger colour pictures"
                )
            return mean
        values = transform.mean_value
        if len(values) not in (0, 1, _CHANNELS):
            raise DataError(f"{len(values)} mean_values do not fit pictures of 3 channels: give one, or 3")
        mean = np.zeros((_CHANNELS, 1, 1), np.float32)
        if values:
            mean[:, 0, 0] = values
        return mean

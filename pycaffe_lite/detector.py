"""Detector: a net that classifies windows of images; pycaffe's class, for detection as in R-CNN.

Source: BVLC/caffe python/caffe/detector.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite import io
from pycaffe_lite.classifier import image_transformer
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.net.net import Net, StrPath
from pycaffe_lite.proto import caffe_pb2

__all__ = ["Detector"]

Array = npt.NDArray[Any]


class Detector(Net):
    """A net in its TEST phase that is run on windows of images, each warped to the net's input size.

    Args:
        model_file: a prototxt with an Input layer. pretrained_file: its weights.
        mean, input_scale, raw_scale, channel_swap: as in `Classifier`.
        context_pad: so many pixels of the net's input, on each side, show what is around the window; where
            that is outside the image they show the mean.

    Attributes:
        transformer: see `pycaffe_lite.io.Transformer`.
        context_pad: as given. crop_dims: height, width and channels of the net's input.
        crop_mean: with context_pad, what stands outside images: the mean as an image has it, or zeros.

    Raises:
        FileLookupError: a file is missing. ArgumentError: the net has no input, or a setting does not fit it.
    """

    def __init__(
        self,
        model_file: StrPath,
        pretrained_file: StrPath,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets how many pixels of context there are around windows, and what stands outside images.

        Raises:
            ArgumentError: nothing of the window would be left.
        """
        name = self.inputs[0]
        channels, height, width = self.blobs[name].shape[1:]
        if context_pad and not 0 < 2 * context_pad < width:
            raise ArgumentError(f"context_pad {context_pad} leaves nothing of an input {width} wide")
        self.crop_dims = np.array((height, width, channels))
        self.context_pad = context_pad
        if not context_pad:
            return
        mean = self.transformer.mean.get(name)
        if mean is None:
            self.crop_mean: Array = np.zeros(self.crop_dims, np.float32)
            return
        as_image = mean.transpose(np.argsort(self.transformer.transpose[name]))
        if (channel_swap := self.transformer.channel_swap.get(name)) is not None:
            as_image = as_image[:, :, np.argsort(channel_swap)]
        self.crop_mean = as_image / self.transformer.raw_scale.get(name, 1.0)

    def detect_windows(self, images_windows: Iterable[tuple[Any, Iterable[Any]]]) -> list[dict[str, Any]]:
        """Runs the net on windows of images.

        Args:
            images_windows: pairs of an image, given as to `io.load_image`, and its windows, each ymin, xmin,
                ymax, xmax in pixels.

        Returns:
            For each window, in order, a dict: `window`, `filename`, and `prediction`, the net's first output.
        """
        pairs = [(file, list(windows)) for file, windows in images_windows]
        name = self.inputs[0]
        inputs, detections = [], []
        for file, windows in pairs:
            image = io.load_image(file)
            for window in windows:
                crop = self.crop(image, window).astype(np.float32)  # a copy, which may be changed
                inputs.append(self.transformer.preprocess(name, crop))
                detections.append({"window": window, "filename": file})
        if not inputs:
            return []
        predictions = self.forward_all(**{name: np.stack(inputs)})[self.outputs[0]]
        return [{**detection, "prediction": p} for detection, p in zip(detections, predictions, strict=True)]

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """Runs the net on the windows that selective search proposes.

        Args:
            image_fnames: paths of images.

        Raises:
            ImportError: the package `selective_search_ijcv_with_python`, which calls MATLAB, is not there.
        """
        try:
            import selective_search_ijcv_with_python as selective_search
        except ImportError:
            raise ImportError(
                "detect_selective_search needs the package selective_search_ijcv_with_python and MATLAB; "
                "detect_windows takes windows from anywhere"
            ) from None
        windows = selective_search.get_windows(image_fnames, cmd="selective_search_rcnn")
        return self.detect_windows(zip(image_fnames, windows, strict=True))

    def crop(self, im: Array, window: Any) -> Array:
        """What the net is shown of an image, before it is warped to the input's size.

        Args:
            im: (H, W, C). window: ymin, xmin, ymax, xmax in pixels.

        Returns:
            Without context the window itself, a view; with it an image of `crop_dims`.
        """
        ymin, xmin, ymax, xmax = (int(n) for n in window)
        if not self.context_pad:
            return im[ymin:ymax, xmin:xmax]
        size = self.blobs[self.inputs[0]].width
        rows = _Side.of(ymin, ymax, im.shape[0], size, self.context_pad)
        columns = _Side.of(xmin, xmax, im.shape[1], size, self.context_pad)
        crop = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[rows.target, columns.target] = io.resize_image(
            im[rows.source, columns.source], (_length(rows.target), _length(columns.target))
        )
        return crop


class _Side(NamedTuple):
    """One axis of a window with its context.

    Attributes:
        source: the pixels of the image. target: where they are shown in the net's input.
    """

    source: slice
    target: slice

    @classmethod
    def of(cls, first: int, last: int, length: int, size: int, pad: int) -> _Side:
        """The axis of a window.

        Args:
            first, last: pixels of the window, both included. length: of the image.
            size: of the net's input. pad: how much of that is context, on each side.
        """
        half = (last - first + 1) / 2
        reach = half * size / (size - 2 * pad)
        low, high = np.round(first + half - reach), np.round(first + half + reach)
        scale = size / (high - low + 1)
        outside = round(max(0.0, -low) * scale)
        low, high = np.clip((low, high), 0, length)
        shown = min(round((high - low + 1) * scale), size - outside)
        return cls(slice(int(low), int(high)), slice(outside, outside + shown))


def _length(part: slice) -> int:
    return int(part.stop - part.start)

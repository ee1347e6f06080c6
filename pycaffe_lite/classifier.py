"""Classifier: a net that takes images as they come; pycaffe's class.

Source: BVLC/caffe python/caffe/classifier.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.io import Transformer, oversample, resize_image
from pycaffe_lite.net.net import Net, StrPath
from pycaffe_lite.proto import caffe_pb2

__all__ = ["Classifier"]

Array = npt.NDArray[Any]


class Classifier(Net):
    """A net in its TEST phase, with all that is done to an image before it goes in.

    Args:
        model_file: a prototxt with an Input layer. pretrained_file: its weights.
        image_dims: height and width to which an image is resized, before crops of the net's input size are
            taken of it; None: this size itself.
        mean: what is subtracted, (C,), or (C, H, W) in the net's order of channels.
        input_scale: what values are multiplied by at last.
        raw_scale: what values, which are 0 to 1, are multiplied by at first: 255, say.
        channel_swap: the order of channels; (2, 1, 0) makes BGR of RGB.

    Attributes:
        transformer: does this; see `pycaffe_lite.io.Transformer`.
        image_dims: as given. crop_dims: height and width of the net's input.

    Raises:
        FileLookupError: a file is missing. ArgumentError: the net has no input, or a setting does not fit it.
    """

    def __init__(
        self,
        model_file: StrPath,
        pretrained_file: StrPath,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims: Any = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """Classifies images.

        Args:
            inputs: images, (H, W, C) each, of any size, values from 0 to 1 as `io.load_image` gives them.
            oversample: average over ten crops of each, the corners, the centre and their mirror images; else
                take the crop of the centre.

        Returns:
            The net's first output in alphabetical order for each image: (N, classes).

        Raises:
            IndexError: there is no image.
        """
        data = self.prepare(inputs, oversample)
        predictions = self.forward_all(**{self.inputs[0]: data})[self.outputs[0]]
        return predictions.reshape(len(inputs), 10, -1).mean(1) if oversample else predictions

    def prepare(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """Makes of images what goes into the net.

        Args:
            inputs, oversample: as for `predict`.

        Returns:
            (N, C, H, W) of the net's input size; ten items for each image with `oversample`, else one.
        """
        name = self.inputs[0]
        return np.stack([self.transformer.preprocess(name, c) for c in self.crops(inputs, oversample)])

    def crops(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """The crops of images that go into the net, as they look before `transformer` works on them.

        Args:
            inputs, oversample: as for `predict`.

        Returns:
            (N, H, W, C) of the net's input size; ten items for each image with `oversample`, else one.
        """
        height, width = self.image_dims
        images = np.empty((len(inputs), height, width, inputs[0].shape[2]), np.float32)
        for i, image in enumerate(inputs):
            images[i] = resize_image(image, (height, width))
        return _oversample(images, self.crop_dims) if oversample else self._centres(images)

    def _centres(self, images: Array) -> Array:
        middle, half = np.array(images.shape[1:3]) / 2, self.crop_dims / 2
        (top, left), (bottom, right) = (middle - half).astype(int), (middle + half).astype(int)
        return images[:, top:bottom, left:right]


_oversample = oversample  # `crops` has an argument of this name


def image_transformer(
    net: Net,
    mean: Array | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """A transformer from images, (H, W, C), to a net's first input."""
    if not net.inputs:
        raise ArgumentError(
            f"net '{net.name}' has no Input layer, whose blob an image could fill: use the prototxt for "
            "deployment, not the one for training"
        )
    name = net.inputs[0]
    transformer = Transformer({name: net.blobs[name].shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer

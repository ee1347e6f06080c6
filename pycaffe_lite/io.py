"""Images and messages for nets; pycaffe's `caffe.io`.

Pictures here are as pycaffe has them: arrays of height, width and channels, float32 from 0 to 1, colours in
the order red, green, blue.

Source: BVLC/caffe python/caffe/io.py
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.image import max_pixels
from pycaffe_lite.errors import ArgumentError, ImageError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.blobproto import LEGACY_DIMS
from pycaffe_lite.proto import caffe_pb2

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

# The parts of red, green and blue in the brightness of a colour (ITU-R BT.709), as scikit-image has them.
_BRIGHTNESS = (0.2125, 0.7154, 0.0721)
# Pillow's names of the formats that are read; it knows others that run programs.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "SUN", "TGA")
_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


# ------------------------------------------------------------------------------------------------- messages


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """The values of a blob's message.

    Args:
        blob: with `data`; its shape are num, channels, height and width if any of these is set, else `shape`.
        return_diff: take `diff` in place of `data`.

    Returns:
        A fresh float64 array of the message's shape.

    Raises:
        ValueError: the number of values is not the shape's.
    """
    values = np.array(blob.diff if return_diff else blob.data, np.float64)
    if any(blob.HasField(name) for name in LEGACY_DIMS):
        return values.reshape(blob.num, blob.channels, blob.height, blob.width)
    return values.reshape(tuple(blob.shape.dim))


def array_to_blobproto(arr: Array, diff: Array | None = None) -> caffe_pb2.BlobProto:
    """A blob's message with these values.

    Args:
        arr: of any shape and type; its values are stored as float32.
        diff: the gradient, as many values.
    """
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).ravel().tolist())
    if diff is not None:
        blob.diff.extend(diff.astype(float).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[Array]) -> bytes:
    """Arrays as the bytes of a BlobProtoVector."""
    return caffe_pb2.BlobProtoVector(blobs=map(array_to_blobproto, arraylist)).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[Array]:
    """The arrays in the bytes of a BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: Array, label: int | None = None) -> caffe_pb2.Datum:
    """A record of a database, to be written with `SerializeToString()`.

    Args:
        arr: (C, H, W). uint8 values are stored as bytes, all others as floats.
        label: the class; not set where it is None.

    Raises:
        ValueError: the array has not three axes.
    """
    if arr.ndim != 3:
        raise ArgumentError(f"a Datum takes an array of shape (channels, height, width), got {arr.shape}")
    channels, height, width = arr.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """The values of a record in a fresh array, (C, H, W): uint8 where it holds bytes, else float64.

    An encoded picture is not decoded: its bytes are no pixels.

    Raises:
        ValueError: the number of values is not that of the record's sizes.
    """
    is_bytes = len(datum.data) > 0
    values = (
        np.frombuffer(datum.data, np.uint8).copy() if is_bytes else np.array(datum.float_data, np.float64)
    )
    return values.reshape(datum.channels, datum.height, datum.width)


# ---------------------------------------------------------------------------------------------- transformer


class Transformer:
    """Makes a net's input of an image, and an image of a net's input.

    Of each input it keeps what to do, in this order: resize to the input's height and width, transpose, swap
    channels, multiply by the raw scale, subtract the mean, multiply by the input scale.

    Args:
        inputs: the shape of each input, (N, C, H, W), by its name.

    Attributes:
        inputs: as given. transpose, channel_swap, raw_scale, mean, input_scale: what was set, by input.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ArgumentError(f"'{in_}' is not one of the net's inputs: {', '.join(self.inputs) or 'none'}")

    def preprocess(self, in_: str, data: Array) -> Floats:
        """An image made fit for an input.

        Args:
            in_: name of the input.
            data: the image, (H, W, C) where it is to be transposed by (2, 0, 1).

        Returns:
            float32, of the input's height and width. Where a float32 image has these already and no channels
            are swapped, it is a view of `data`, whose values have changed.

        Raises:
            ArgumentError: no such input.
        """
        self._check_input(in_)
        image = data.astype(np.float32, copy=False)
        size = self.inputs[in_][2:]
        # Sizes that come in a list are no tuple's equal in pycaffe: resizing copies the image then.
        if not isinstance(size, tuple) or image.shape[:2] != size:
            image = resize_image(image, size)
        if (transpose := self.transpose.get(in_)) is not None:
            image = image.transpose(transpose)
        if (channel_swap := self.channel_swap.get(in_)) is not None:
            image = image[channel_swap, :, :]
        if (raw_scale := self.raw_scale.get(in_)) is not None:
            image *= raw_scale
        if (mean := self.mean.get(in_)) is not None:
            image -= mean
        if (input_scale := self.input_scale.get(in_)) is not None:
            image *= input_scale
        return image

    def deprocess(self, in_: str, data: Array) -> Array:
        """The image that an input was made of, but for its size: undoes `preprocess`.

        Args:
            in_: name of the input. data: (C, H, W), or (1, C, H, W); it stays as it is.

        Raises:
            ArgumentError: no such input.
            ValueError: to be transposed, the data must have three axes longer than 1, or two and a 1 that
                stays, as `numpy.squeeze` leaves them.
        """
        self._check_input(in_)
        image: Array = data.copy().squeeze()
        if (input_scale := self.input_scale.get(in_)) is not None:
            image /= input_scale
        if (mean := self.mean.get(in_)) is not None:
            image += mean
        if (raw_scale := self.raw_scale.get(in_)) is not None:
            image /= raw_scale
        if (channel_swap := self.channel_swap.get(in_)) is not None:
            image = image[np.argsort(channel_swap), :, :]
        if (transpose := self.transpose.get(in_)) is not None:
            image = image.transpose(np.argsort(transpose))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of axes: (2, 0, 1) makes (H, W, C) to (C, H, W).

        Raises:
            ArgumentError: no such input, or not one number for each axis but the first.
        """
        self._check_input(in_)
        axes = len(self.inputs[in_]) - 1
        if len(order) != axes:
            raise ArgumentError(f"the order of axes of '{in_}' needs {axes} numbers, got {order}")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of channels: (2, 1, 0) makes BGR of RGB.

        Raises:
            ArgumentError: no such input, or not one number for each channel.
        """
        self._check_input(in_)
        channels = self.inputs[in_][1]
        if len(order) != channels:
            raise ArgumentError(f"the order of channels of '{in_}' needs {channels} numbers, got {order}")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets what values are multiplied by before the mean is subtracted: 255 for nets made for 0 to 255.

        Raises:
            ArgumentError: no such input.
        """
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Sets what is subtracted.

        Args:
            in_: name of the input.
            mean: (C,), a number for each channel; (C, H, W), resized to the input's size if it has another;
                or (H, W) for an input of one channel.

        Raises:
            ArgumentError: no such input, or a mean of another number of channels or axes.
        """
        self._check_input(in_)
        shape = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if mean.shape[0] != shape[0]:
                raise ArgumentError(f"'{in_}' has {shape[0]} channels, got means for {mean.shape[0]}")
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            whole = mean[np.newaxis] if mean.ndim == 2 else mean
            if whole.ndim != 3:
                raise ArgumentError(f"a mean has 1 to 3 axes, got shape {mean.shape}")
            if whole.shape != shape:
                if mean.ndim == 2 or whole.shape[0] != shape[0]:
                    raise ArgumentError(f"the mean of '{in_}', {shape}, cannot be of shape {mean.shape}")
                mean = _resized_mean(mean, shape[1:])
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets what values are multiplied by at last: 1/256, say.

        Raises:
            ArgumentError: no such input.
        """
        self._check_input(in_)
        self.input_scale[in_] = scale


def _resized_mean(mean: Array, size: tuple[int, ...]) -> Array:
    """A mean (C, H, W) of another size; resized in the range 0 to 1, which `resize_image` leaves as it is."""
    low, high = float(mean.min()), float(mean.max())
    if low == high:
        return np.full((mean.shape[0], *size), low, np.float32)
    image = ((mean - low) / (high - low)).transpose(1, 2, 0)
    resized: Array = resize_image(image, size).transpose(2, 0, 1) * (high - low) + low
    return resized


# --------------------------------------------------------------------------------------------------- images


def load_image(filename: str | os.PathLike[str] | IO[bytes], color: bool = True) -> Floats:
    """Reads a picture.

    Args:
        filename: its path, or a file open for reading bytes.
        color: give three channels, red, green, blue; else one, of brightness.

    Returns:
        (H, W, 3) or (H, W, 1), values from 0 to 1. Opacity is left out; only where the brightness of a
        coloured picture is taken, it lies on white, as in scikit-image. No picture is turned as its EXIF data
        may say.

    Raises:
        FileNotFoundError: there is no such file.
        ImageError: it holds no picture that can be read, or one of more pixels than `set_max_pixels` allows;
            or Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise ImageError(missing("reading images", "Pillow", "image")) from None
    name = str(filename) if isinstance(filename, (str, os.PathLike)) else "the image file"
    file = open(filename, "rb") if isinstance(filename, (str, os.PathLike)) else filename  # noqa: SIM115
    try:
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > max_pixels():
                size = f"{image.width} x {image.height}"
                raise ImageError(
                    f"{name} has {size} pixels, more than {max_pixels()}; to read it all the same, call "
                    "pycaffe_lite.set_max_pixels"
                )
            pixels = _pixels(image, color)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"cannot read {name}: it is no image of a format that is read") from None
    except Exception as error:  # what decoders stumble over in a damaged file may be anything
        raise ImageError(f"cannot read {name} as an image: {error or type(error).__name__}") from None
    finally:
        if file is not filename:
            file.close()
    if pixels.ndim == 3 and not color:
        pixels = (pixels @ np.array(_BRIGHTNESS))[..., np.newaxis]
    elif pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, axis=2) if color else pixels[..., np.newaxis]
    return pixels.astype(np.float32)


def _pixels(image: Any, color: bool) -> Array:
    """A picture's values from 0 to 1 in float64: (H, W) where it is grey, else (H, W, 3)."""
    if image.mode in _DEEP_GRAY:
        return np.asarray(image).astype(np.float64) / 65535
    if image.mode == "F":
        return np.asarray(image).astype(np.float64)
    if image.mode in ("1", "L", "LA"):
        gray: Array = np.asarray(image.convert("L")) / 255
        return gray
    if color or not (image.mode in ("RGBA", "PA") or "transparency" in image.info):
        colors: Array = np.asarray(image.convert("RGB")) / 255
        return colors
    values = np.asarray(image.convert("RGBA")) / 255
    opacity = values[..., 3:]
    over_white: Array = values[..., :3] * opacity + (1 - opacity)
    return over_white


def resize_image(im: Array, new_dims: Sequence[int], interp_order: int = 1) -> Floats:
    """An image of another size, interpolated without smoothing, as scikit-image did it in Caffe's time.

    Of 1 or 3 channels, pixels are squares: target row d lies at source row (d + 0.5) · H / H' − 0.5, and
    outside the image is its lowest value, which shows at the border where an image is enlarged. Of other
    numbers of channels, pixels are points, and the corners stay where they are.

    Args:
        im: (H, W, C), of any type.
        new_dims: height and width.
        interp_order: 1, linear, or 0, the nearest pixel.

    Returns:
        float32, (*new_dims, C), in the range of `im`.

    Raises:
        ArgumentError: an image of another shape, sizes below 1, or another order.
    """
    height, width = _size_of(new_dims)
    if interp_order not in (0, 1):
        raise ArgumentError(f"interp_order is 1, linear, or 0, the nearest pixel, not {interp_order}")
    if im.ndim != 3 or 0 in im.shape:
        raise ArgumentError(f"an image has the shape (height, width, channels), got {im.shape}")
    are_points = im.shape[2] not in (1, 3)
    places = _corner_points if are_points else _centres
    outside = 0.0 if are_points else float(im.min())
    image = im
    for axis, length in enumerate((height, width)):
        image = _along(image, axis, places(im.shape[axis], length), interp_order, outside)
    return image.astype(np.float32)


def _size_of(dims: Sequence[int]) -> tuple[int, int]:
    size = tuple(int(n) for n in dims)
    if len(size) != 2 or min(size) < 1:
        raise ArgumentError(f"a size is (height, width), each 1 or more, got {tuple(dims)}")
    return size[0], size[1]


def _centres(source: int, target: int) -> Array:
    """Where the centres of target pixels lie among those of the source, for pixels that are squares."""
    points: Array = (np.arange(target) + 0.5) * (source / target) - 0.5
    return points


def _corner_points(source: int, target: int) -> Array:
    """The same with the first and the last pixel where they are."""
    step = (source - 1) / (target - 1) if target > 1 else 1.0
    points: Array = np.arange(target) * step
    return points


def _along(image: Array, axis: int, points: Array, order: int, outside: float) -> Array:
    """An image's values, in float64, at points between its pixels along one axis.

    Args:
        image: (H, W, C). axis: 0 or 1. points: where on it, pixels being whole numbers.
        order: 1, linear, or 0, the nearest pixel. outside: the value beyond the first and the last pixel.
    """
    below = np.floor(points + 0.5 if order == 0 else points).astype(int)
    part = np.zeros(len(points)) if order == 0 else points - below
    shape = [1, 1, 1]
    shape[axis] = len(points)
    total: Array = np.full(1, outside)
    for pixel, weight in ((below, 1 - part), (below + 1, part)):
        weight = np.where((pixel >= 0) & (pixel < image.shape[axis]), weight, 0.0)
        values = image.take(pixel, axis, mode="clip").astype(np.float64)
        total = total + (values - outside) * weight.reshape(shape)
    return total


def oversample(images: Sequence[Array] | Array, crop_dims: Sequence[int]) -> Floats:
    """Ten crops of each image: the four corners, the centre, and the mirror images of these five.

    Args:
        images: of one shape, (H, W, C).
        crop_dims: height and width of the crops.

    Returns:
        (10 · N, *crop_dims, C), of each image: top left, top right, bottom left, bottom right, centre, then
        the same mirrored.

    Raises:
        IndexError: there is no image. ArgumentError: the crops are larger than the images.
    """
    first = np.asarray(images[0])
    (height, width), (rows, columns) = _size_of(crop_dims), first.shape[:2]
    if height > rows or width > columns:
        raise ArgumentError(f"crops of {height} x {width} are larger than the image, {rows} x {columns}")
    starts = [(y, x) for y in (0, rows - height) for x in (0, columns - width)]
    starts.append((int(rows / 2 - height / 2), int(columns / 2 - width / 2)))
    crops = np.empty((10 * len(images), height, width, first.shape[-1]), np.float32)
    for i, image in enumerate(images):
        for j, (y, x) in enumerate(starts):
            crop = np.asarray(image)[y : y + height, x : x + width]
            crops[10 * i + j] = crop
            crops[10 * i + 5 + j] = crop[:, ::-1]
    return crops

"""Decoding images, as Caffe gets them from OpenCV: 8-bit planes, colours in the order blue, green, red."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.cut_jpeg import repeat_last_row
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.extras import missing

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Planes = npt.NDArray[np.uint8]

# The formats that OpenCV reads, too, by Pillow's names.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "SUN")
# The planes of each kind of image that is read; others have more than 16 bits a value.
_PLANES = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
    "LA": "RGBA",
    "PA": "RGBA",
    "RGBA": "RGBA",
}
_JPEGS = ("JPEG", "MPO")
_DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N", "I")
# Weights of red, green and blue in grey, their sum as a power of two, what is added for rounding: libpng
# cuts off, OpenCV rounds.
_PNG_GRAY = (9797, 19234, 3737, 15, 0)
_OPENCV_GRAY = (4899, 9617, 1868, 14, 1 << 13)
# What libjpeg's own reader sees behind the end of a file: markers of the end, for as long as it asks. More
# than any part of a JPEG is long.
_JPEG_ENDS = b"\xff\xd9" * 40_000

_MAX_PIXELS_VARIABLE = "PYCAFFE_LITE_MAX_PIXELS"
_DEFAULT_MAX_PIXELS = 1 << 26
_max_pixels: int | None = None


def max_pixels() -> int:
    """The number of pixels beyond which no picture is decoded.

    It is the one set by `set_max_pixels`, that of the environment variable PYCAFFE_LITE_MAX_PIXELS, or else
    67,108,864, as in 8192 x 8192.

    Raises:
        DataError: the variable is not a number.
    """
    if _max_pixels is not None:
        return _max_pixels
    text = os.environ.get(_MAX_PIXELS_VARIABLE, "").strip() or str(_DEFAULT_MAX_PIXELS)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise DataError(f"the environment variable {_MAX_PIXELS_VARIABLE} is not a number above 0: '{text}'")
    return int(text)


def set_max_pixels(number: int) -> None:
    """Sets the number of pixels beyond which no picture is decoded, in this process.

    A file of 100 KB may hold a picture that takes gigabytes of memory.

    Raises:
        ArgumentError: the number is below 1.
    """
    global _max_pixels
    if number < 1:
        raise ArgumentError(f"max_pixels must be 1 or more, got {number}")
    _max_pixels = number


class Picture(NamedTuple):
    """A decoded image.

    Attributes:
        planes: (C, H, W).
        is_cut: whether the file was cut off, so that the lower part is missing.
    """

    planes: Planes
    is_cut: bool


def decode(encoded: bytes, color: bool | None = None, *, from_memory: bool = False) -> Picture:
    """Decodes a JPEG, PNG or other image file.

    What is missing of a JPEG that is cut off becomes grey, or repeats the last row, as OpenCV does; PNGs must
    be whole, as there. Of 16 bits a value, the upper 8 are taken where the colours are forced. Then, too, and
    not otherwise, a picture is turned as its EXIF data say.

    Args:
        encoded: the file's bytes.
        color: True: three planes; False: one; None: as many as the file has (BGR, BGRA or grey).
        from_memory: whether Caffe lets OpenCV read it from memory, as a record, and not from a file; see
            `cut_jpeg.repeat_last_row`.

    Raises:
        DataError: Pillow is not installed; the bytes are no image, one of more than `max_pixels()`, or one of
            more than 8 bits a value (16, where `color` is given).
    """
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError(missing("reading encoded images", "Pillow", "image")) from None
    try:
        return _decode(encoded, color, from_memory)
    except DataError:
        raise
    except Exception as error:  # what decoders stumble over in a damaged file may be anything
        problem = str(error) or type(error).__name__
        raise DataError(f"cannot decode an image of {len(encoded)} bytes: {problem}") from None


def _decode(encoded: bytes, color: bool | None, from_memory: bool) -> Picture:
    from PIL import ImageOps

    file, is_cut = _open(encoded, color), False
    is_deep = any(";16" in str(tile[3]) for tile in file.tile)
    if is_deep and color is None:
        raise DataError(
            "it has 16 bits a value, which Caffe does not take as they are: set force_color or force_gray in "
            "transform_param"
        )
    if file.mode not in _PLANES and not (is_deep and file.mode in _DEEP_GRAY):
        raise DataError(
            f"cannot decode an image of mode '{file.mode}': only those of 8 or 16 bits a value are read"
        )
    try:
        file.load()
    except OSError:
        if file.format not in _JPEGS:
            raise
        file, is_cut = _open(encoded + _JPEG_ENDS, color), True
        file.load()
        if from_memory:
            repeat_last_row(file, lambda: _open(encoded, color))
    if color is not None:
        ImageOps.exif_transpose(file, in_place=True)
    return Picture(_planes(file, color), is_cut)


def _open(encoded: bytes, color: bool | None) -> ImageFile:
    """Reads what stands at the beginning of the file, and checks the size.

    Pillow's `Image.open` would also try formats that nobody expects here, some by other programs, and has a
    limit of its own.
    """
    image = _identified(encoded)
    if image is None:
        raise DataError(f"its {len(encoded)} bytes are not those of an image")
    width, height = image.size
    if width * height > max_pixels():
        raise DataError(
            f"it has {width} x {height} pixels, more than {max_pixels()}; to read it all the same, give "
            f"--max_pixels or set {_MAX_PIXELS_VARIABLE}"
        )
    if color is False:
        image.draft("L", image.size)  # makes a JPEG give its own brightness plane
    return image


def _identified(encoded: bytes) -> ImageFile | None:
    from PIL import Image

    for load_formats in (Image.preinit, Image.init):  # the most used ones, all
        load_formats()
        for name in _FORMATS:
            factory, accepts = Image.OPEN.get(name, (None, None))
            if factory is not None and accepts is not None and accepts(encoded[:16]) is True:
                image: ImageFile = factory(io.BytesIO(encoded), "")
                return image
    return None


def _planes(image: ImageFile, color: bool | None) -> Planes:
    if image.mode in _DEEP_GRAY:
        gray: Planes = (np.asarray(image) >> 8).astype(np.uint8)
        return np.stack([gray] * 3) if color else gray[np.newaxis]
    planes = _PLANES[image.mode]
    if planes == "RGB" and "transparency" in image.info:
        planes = "RGBA"
    if color or (color is False and planes != "L"):
        planes = "RGB"  # without opacity
    is_inks = image.mode == "CMYK" and image.format in _JPEGS
    pixels: Planes = _rgb_of_cmyk(np.asarray(image)) if is_inks else np.asarray(image.convert(planes))
    if pixels.ndim == 2:
        return pixels[np.newaxis]
    if color is False:
        *weights, shift, half = _PNG_GRAY if image.format == "PNG" else _OPENCV_GRAY
        total = np.full(pixels.shape[:2], half, np.uint32)
        for i, weight in enumerate(weights):
            total += pixels[..., i] * np.uint32(weight)
        gray = (total >> np.uint32(shift)).astype(np.uint8)
        return gray[np.newaxis]
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order].transpose(2, 0, 1))


def _rgb_of_cmyk(pixels: Planes) -> Planes:
    """OpenCV's conversion of a JPEG's values; Pillow has turned these round."""
    inks = (255 - pixels).astype(np.int32)
    black = inks[..., 3:]
    rgb: Planes = (black - ((255 - inks[..., :3]) * black >> 8)).astype(np.uint8)
    return rgb

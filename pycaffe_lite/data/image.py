"""Pictures, as Caffe gets them from OpenCV: 8-bit pixels, colours in the order blue, green, red."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import arrow, plain_jpeg
from pycaffe_lite.data.cut_jpeg import repeat_last_row
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.extras import missing
from pycaffe_lite.kernels import resize as kernels
from pycaffe_lite.kernels.colors import bgr_of_rgbx
from pycaffe_lite.proto.paths import read_at_once, read_regular

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Pixels = npt.NDArray[np.uint8]

# The formats that OpenCV reads, too, by Pillow's names.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "SUN")
# The channels of each kind of image that is read; others have more than 16 bits a value.
_CHANNELS = {
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
# Weights of blue, green and red in grey, their sum as a power of two, what is added for rounding: libpng
# cuts off, OpenCV rounds.
_PNG_GRAY = (3737, 19234, 9797, 15, 0)
_OPENCV_GRAY = (1868, 9617, 4899, 14, 1 << 13)
# What libjpeg's own reader sees behind the end of a file: markers of the end, for as long as it asks. More
# than any part of a JPEG is long.
_JPEG_ENDS = b"\xff\xd9" * 40_000

_LARGEST_FILE = 1 << 30  # bytes
# The EXIF field that says how a picture is to be turned, and the last value of it without a quarter turn.
_ORIENTATION, _UPRIGHT = 0x0112, 4
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
        pixels: (H, W, C), C-contiguous unless asked for otherwise; perhaps not writable.
        is_cut: whether the file was cut off, so that the lower part is missing.
    """

    pixels: Pixels
    is_cut: bool


def decode(
    encoded: bytes, color: bool | None = None, *, packed: bool = True, from_memory: bool = False
) -> Picture:
    """Decodes a JPEG, PNG or other image file.

    What is missing of a JPEG that is cut off becomes grey, or repeats the last row, as OpenCV does; PNGs must
    be whole, as there. Of 16 bits a value, the upper 8 are taken where the colours are forced. Then, too, and
    not otherwise, a picture is turned as its EXIF data say.

    Args:
        encoded: the file's bytes.
        color: True: three channels; False: one; None: as many as the file has (BGR, BGRA or grey).
        packed: whether the pixels have to be C-contiguous. Otherwise they may be a view of Pillow's memory,
            which saves a copy (see `memory_of`).
        from_memory: whether Caffe lets OpenCV read it from memory, as a record, and not from a file; see
            `cut_jpeg.repeat_last_row`.

    Raises:
        DataError: Pillow is not installed; the bytes are no image, one of more than `max_pixels()`, or one of
            more than 8 bits a value (16, where `color` is given).
    """
    memory = plain_jpeg.decode(encoded, color, max_pixels())
    if memory is not None:
        return Picture(memory if memory.shape[2] == 1 else _bgr_of_rgbx(memory, packed), False)
    check_pillow("reading encoded images")
    try:
        return _decode(encoded, color, packed, from_memory)
    except DataError:
        raise
    except Exception as error:  # what decoders stumble over in a damaged file may be anything
        problem = str(error) or type(error).__name__
        raise DataError(f"cannot decode an image of {len(encoded)} bytes: {problem}") from None


def check_pillow(purpose: str) -> None:
    """Raises a DataError where Pillow is missing, which is needed for a purpose, "reading pictures"."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError(missing(purpose, "Pillow", "image")) from None


def read(path: Path, color: bool | None = None, *, packed: bool = True) -> Picture:
    """Decodes a file; see `decode`.

    Raises:
        FileLookupError: it is not there.
        DataError: it cannot be read or decoded; the message names it.
    """
    return decode_file(path, read_bytes(path), color, packed=packed)


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture's file.

    Raises:
        FileLookupError: it is not there. DataError: it cannot be read.
    """
    return read_regular(path, _LARGEST_FILE, "a picture", error=DataError)


def read_named(
    name: str, near: Path | None, color: bool | None = None, *, packed: bool = True
) -> Picture | None:
    """Decodes the file that `proto.paths.resolve` finds; in the usual case quicker than with that and `read`.

    Returns:
        None where it cannot be read or decoded: `resolve` and `read` tell why, or do it all the same.
    """
    encoded = read_at_once(name, near, _LARGEST_FILE)
    if encoded is None:
        return None
    try:
        return decode(encoded, color, packed=packed)
    except DataError:
        return None


def is_readable(path: Path) -> bool:
    """Whether a file is there and can be decoded in colour.

    Of a JPEG only the beginning is looked at: what is damaged behind it ends no decoding.
    """
    try:
        encoded = read_bytes(path)
        if _open(encoded, True).format not in _JPEGS:
            decode(encoded, True)
    except Exception:  # whatever decoders stumble over
        return False
    return True


def decode_file(
    path: Path,
    encoded: bytes,
    color: bool | None = None,
    *,
    packed: bool = True,
    from_memory: bool = False,
) -> Picture:
    """Decodes the bytes of a file; see `decode`. Errors name the file."""
    try:
        return decode(encoded, color, packed=packed, from_memory=from_memory)
    except DataError as error:
        raise DataError(f"picture '{path}': {error}") from None


def shape(encoded: bytes, color: bool | None = None) -> tuple[int, int, int]:
    """Height, width and channels of what `decode` would make of a file, by what stands at its beginning.

    Raises:
        DataError: as `decode`, as far as the beginning shows it.
    """
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError(missing("reading encoded images", "Pillow", "image")) from None
    try:
        file = _open(encoded, None)
        height, width = file.height, file.width
        if color is not None and file.getexif().get(_ORIENTATION, 1) > _UPRIGHT:
            height, width = width, height
    except DataError:
        raise
    except Exception as error:  # as in `decode`
        problem = str(error) or type(error).__name__
        raise DataError(f"cannot decode an image of {len(encoded)} bytes: {problem}") from None
    if color is not None:
        return height, width, 3 if color else 1
    kind = _CHANNELS.get(file.mode, "L")
    return height, width, len("RGBA" if kind == "RGB" and "transparency" in file.info else kind)


def _decode(encoded: bytes, color: bool | None, packed: bool, from_memory: bool) -> Picture:
    from PIL import ImageOps

    file, is_cut = _open(encoded, color), False
    is_deep = any(";16" in str(tile[3]) for tile in file.tile)
    if is_deep and color is None:
        raise DataError(
            "it has 16 bits a value, which Caffe does not take as they are: set force_color or force_gray in "
            "transform_param"
        )
    if file.mode not in _CHANNELS and not (is_deep and file.mode in _DEEP_GRAY):
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
    return Picture(_pixels(file, color, packed), is_cut)


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


def _pixels(image: ImageFile, color: bool | None, packed: bool) -> Pixels:
    if image.mode in _DEEP_GRAY:
        gray: Pixels = (np.asarray(image) >> 8).astype(np.uint8)[..., np.newaxis]
        return gray.repeat(3, 2) if color else gray
    channels = _CHANNELS[image.mode]
    if channels == "RGB" and "transparency" in image.info:
        channels = "RGBA"
    if color or (color is False and channels != "L"):
        channels = "RGB"  # without opacity
    if channels == "RGB":
        image.info.pop("transparency", None)  # Pillow warns that it is lost
    if image.mode == "CMYK" and image.format in _JPEGS:
        pixels = _bgr_of_cmyk(np.asarray(image))
    else:
        pixels = _bgr(image if image.mode == channels else image.convert(channels), packed or color is False)
    if color is False and channels != "L":
        return _gray(pixels, _PNG_GRAY if image.format == "PNG" else _OPENCV_GRAY)
    return pixels


def _bgr(image: Image, packed: bool) -> Pixels:
    """The pixels of an image of mode L, RGB or RGBA: grey, BGR or BGRA."""
    height, width = image.height, image.width
    if image.mode == "RGB":
        memory = arrow.bytes_of(image, 4 * height * width)
        if memory is not None:
            return _bgr_of_rgbx(memory.reshape(height, width, 4), packed)
    values = image.tobytes("raw", image.mode.replace("RGB", "BGR"))
    return np.frombuffer(values, np.uint8).reshape(height, width, -1)


def _bgr_of_rgbx(memory: Pixels, packed: bool) -> Pixels:
    """(H, W, 3): blue, green, red of (H, W, 4): red, green, blue and a byte without meaning."""
    if not packed:
        return memory[..., 2::-1]
    pixels = np.empty((*memory.shape[:2], 3), np.uint8)
    bgr_of_rgbx(memory.reshape(-1), pixels.reshape(-1))
    return pixels


def memory_of(planes: npt.NDArray[np.uint8]) -> Pixels | None:
    """The memory that lies under the planes, (3, H, W), of a picture which is not packed.

    Returns:
        (H, W, 4): red, green, blue and a byte without meaning; None for planes of any other kind.
    """
    C, H, W = planes.shape
    base = planes.base
    if C != 3 or planes.strides != (-1, 4 * W, 4) or not isinstance(base, np.ndarray):
        return None
    if base.shape != (4 * H * W,) or planes.ctypes.data != base.ctypes.data + 2:
        return None
    return base.reshape(H, W, 4)


def _gray(pixels: Pixels, weights: tuple[int, ...]) -> Pixels:
    """(H, W, 1), of the colours of (H, W, 3)."""
    *of_channels, shift, half = weights
    total = np.full(pixels.shape[:2], half, np.uint32)
    for i, weight in enumerate(of_channels):
        total += pixels[..., i] * np.uint32(weight)
    gray: Pixels = (total >> np.uint32(shift)).astype(np.uint8)[..., np.newaxis]
    return gray


def _bgr_of_cmyk(pixels: Pixels) -> Pixels:
    """OpenCV's conversion of a JPEG's values; Pillow has turned these round."""
    inks = (255 - pixels).astype(np.int32)
    black = inks[..., 3:]
    bgr: Pixels = (black - ((255 - inks[..., 2::-1]) * black >> 8)).astype(np.uint8)
    return bgr


# ------------------------------------------------------------------------------------------------ resizing


def resize(pixels: Pixels, height: int, width: int, factor: float | None = None) -> Pixels:
    """A picture of another size, bit for bit as OpenCV's bilinear `resize` makes it.

    Nothing is smoothed before shrinking, but to exactly half in both directions: then each pixel is the mean
    of four.

    Args:
        pixels: (H, W, C), C-contiguous.
        height, width: of the picture wanted, 1 or more.
        factor: by which the picture is scaled, where these are rounded sizes; None: the ratio of sizes.

    Returns:
        (height, width, C); the same array where it has this size.

    Raises:
        DataError: the picture wanted has more than `max_pixels()`.
    """
    H, W, C = pixels.shape
    if pixels.shape == (height, width, C):
        return pixels
    check_new_size(height, width)
    out: Pixels = np.empty((height, width, C), np.uint8)
    if pixels.shape == (2 * height, 2 * width, C):
        kernels.half(pixels, out)
    else:
        upper, lower, row_weights = _neighbours(H, height, False, factor)
        left, right, column_weights = _neighbours(W, width, True, factor)
        kernels.bilinear(pixels, upper, lower, row_weights, left, right, column_weights, out)
    return out


def check_new_size(height: int, width: int) -> None:
    """Refuses to resize a picture to more pixels than `max_pixels()`.

    Raises:
        DataError: it has more.
    """
    if height * width > max_pixels():
        raise DataError(
            f"cannot resize to {width} x {height} pixels, more than {max_pixels()}; to do it all the same, "
            f"give --max_pixels or set {_MAX_PIXELS_VARIABLE}"
        )


def resize_part(
    pixels: Pixels, size: tuple[int, int], row: int, column: int, out: npt.NDArray[np.uint8]
) -> None:
    """Makes a part of what `resize` would make of a picture, each channel for itself.

    Args:
        pixels: (H, W, C), C-contiguous; or as `memory_of` gives it, for three channels.
        size: height and width of the picture of which it is a part.
        row, column: of that picture, where the part begins.
        out: the part, (C, h, w), overwritten.
    """
    (height, width), (H, W) = size, pixels.shape[:2]
    if pixels.shape[:2] == (2 * height, 2 * width):
        kernels.half_planes(pixels, row, column, out)
        return
    rows, columns = slice(row, row + out.shape[1]), slice(column, column + out.shape[2])
    upper, lower, row_weights = (array[rows] for array in _neighbours(H, height, False))
    left, right, column_weights = (array[columns] for array in _neighbours(W, width, True))
    kernels.bilinear_planes(pixels, upper, lower, row_weights, left, right, column_weights, out)


@lru_cache(maxsize=64)
def _neighbours(
    source: int, target: int, columns: bool, factor: float | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The two pixels on either side of each of `target` along an axis of `source`, and their weights.

    Pixel d lies at (d + 1/2) · source / target − 1/2, or at (d + 1/2) / factor − 1/2. Beyond the border a
    column gets the border's pixel whole; a row gets shares of twice the same row, which rounds otherwise.
    """
    scale = 1 / (factor or target / source)
    place = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int32)
    rest = place - first.astype(np.float32)
    if columns:
        rest[(first < 0) | (first >= source - 1)] = 0
        first = first.clip(0, source - 1)
    one = np.float32(1 << kernels.BITS)
    weights = np.stack([np.rint((np.float32(1) - rest) * one), np.rint(rest * one)], axis=1)
    found = first.clip(0, source - 1), (first + 1).clip(0, source - 1), weights.astype(np.int32)
    for array in found:
        array.flags.writeable = False
    return found

"""Decoding images, as Caffe gets them from OpenCV: 8-bit planes, colours in the order blue, green, red."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing

# The planes of each kind of image that is read; others have more than 8 bits a value.
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
# Weights of red, green and blue in grey, their sum as a power of two, what is added for rounding: libpng
# cuts off, OpenCV rounds.
_PNG_GRAY = (np.array([9797, 19234, 3737]), 15, 0)
_OPENCV_GRAY = (np.array([4899, 9617, 1868]), 14, 1 << 13)


def decode(encoded: bytes, color: bool | None = None) -> npt.NDArray[np.uint8]:
    """Decodes a JPEG, PNG or other image file.

    Args:
        encoded: the file's bytes.
        color: True: three planes; False: one; None: as many as the file has (BGR, BGRA or grey).

    Returns:
        (C, H, W) planes.

    Raises:
        DataError: Pillow is not installed, the bytes are no image, or it has more than 8 bits a value.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError(missing("reading encoded images", "Pillow", "image")) from None
    try:
        image = Image.open(io.BytesIO(encoded))
        if image.mode not in _PLANES:
            raise DataError(f"cannot decode an image of mode '{image.mode}': only 8-bit images can be read")
        if color is False:
            image.draft("L", image.size)  # makes a JPEG give its own brightness plane
        planes = _PLANES[image.mode]
        if planes == "RGB" and "transparency" in image.info:
            planes = "RGBA"
        if color or (color is False and planes != "L"):
            planes = "RGB"  # without opacity
        pixels: npt.NDArray[np.uint8] = np.asarray(image.convert(planes))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot decode an image of {len(encoded)} bytes: {error}") from None
    if pixels.ndim == 2:
        return pixels[None]
    if color is False:
        weights, shift, half = _PNG_GRAY if image.format == "PNG" else _OPENCV_GRAY
        gray: npt.NDArray[np.uint8] = ((pixels @ weights + half) >> shift).astype(np.uint8)
        return gray[None]
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order].transpose(2, 0, 1))

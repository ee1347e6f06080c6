"""What `noise_param` does to pictures, as OpenCV's functions do it, to one step of grey.

Source: weiliu89/caffe src/caffe/util/im_transforms.cpp, ApplyNoise
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing
from pycaffe_lite.kernels.colors import hsv_of_bgr
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

Places = npt.NDArray[np.int64]

OPENCV_QUALITY = 95  # of its JPEGs, unless it is told another
_BLUR_SIDE, _BLUR_SIGMA = 7, 1.5
_CLIP_LIMIT, _TILES = 4.0, 8  # of CLAHE
_GRAY = np.array([3735, 19235, 9798], np.int64)  # weights of blue, green, red; 2^15 is 1
_LUMA = np.array([1868, 9617, 4899], np.int64)  # 2^14 is 1
_TO_CR, _TO_CB = 11682, 9241
_CB_TO_B, _CB_TO_G, _CR_TO_G, _CR_TO_R = 29049, -5636, -11698, 22987


def check(param: caffe_pb2.NoiseParameter) -> None:
    """Refuses what cannot be done.

    Raises:
        DataError: convert_to_lab, whose result the fork reads as something else than it is; saltpepper
            without a value.
    """
    if param.convert_to_lab:
        raise DataError(
            "noise_param.convert_to_lab is not supported: in the forks that have it the result is read as "
            "something else than it is"
        )
    if param.saltpepper and not param.saltpepper_param.value:
        raise DataError("noise_param.saltpepper needs saltpepper_param { value: ... }")


def draw_places(
    param: caffe_pb2.NoiseParameter, height: int, width: int, stream: RandomStream
) -> Places | None:
    """Columns and rows, (2, count), of the pixels that saltpepper changes; None without it."""
    if not param.saltpepper:
        return None
    count = int(np.floor(np.float32(param.saltpepper_param.fraction) * width * height))
    draws = stream.raw_array(2 * count).reshape(count, 2).astype(np.int64)
    return np.stack([draws[:, 0] % width, draws[:, 1] % height])


def noisy(pixels: Pixels, param: caffe_pb2.NoiseParameter, places: Places | None) -> Pixels:
    """A picture with noise.

    Args:
        pixels: (H, W, C), C-contiguous.
        param: which. places: of `draw_places`, for a picture of this size.

    Raises:
        DataError: a change that is for colours, of a picture without; another number of values than 1 or C.
    """
    if pixels.shape[2] != 3 and (param.decolorize or param.convert_to_hsv):
        raise DataError("noise_param's decolorize and convert_to_hsv are for pictures in colour")
    if param.decolorize:
        gray = (pixels @ _GRAY + (1 << 14)) >> 15
        pixels = np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)
    if param.gauss_blur:
        pixels = _blurred(pixels)
    if param.hist_eq:
        pixels = _on_brightness(pixels, _equalized)
    if param.clahe:
        pixels = _on_brightness(pixels, _equalized_by_tiles)
    if param.jpeg > 0:
        pixels = image.decode(jpeg_of(pixels, int(param.jpeg)), True).pixels
    if param.erode:
        pixels = _eroded(pixels)
    if param.posterize:
        pixels = pixels // 64 * 64 + 32
    if param.inverse:
        pixels = 255 - pixels
    if places is not None:
        pixels = _with_places(pixels, param.saltpepper_param, places)
    if param.convert_to_hsv:
        hsv = np.ascontiguousarray(pixels).reshape(-1, 3).copy()
        hsv_of_bgr(hsv, hsv)
        pixels = hsv.reshape(pixels.shape)
    return np.ascontiguousarray(pixels)


def jpeg_of(pixels: Pixels, quality: int = OPENCV_QUALITY) -> bytes:
    """A picture, (H, W, C) with C of 1, 3 or 4, as a JPEG, which loses opacity.

    Raises:
        DataError: Pillow is not installed, or the picture has no pixels.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError(missing("writing encoded images", "Pillow", "image")) from None
    if not pixels.size:
        raise DataError(f"a picture of shape {pixels.shape} cannot be encoded")
    values = pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels[..., 2::-1])
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=min(quality, 100), subsampling="4:2:0")
    return file.getvalue()


def _blurred(pixels: Pixels) -> Pixels:
    reach = _BLUR_SIDE // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * _BLUR_SIGMA**2))
    weights /= weights.sum()
    values = np.pad(pixels, [(reach, reach), (reach, reach), (0, 0)], mode="reflect").astype(np.float64)
    H, W, _ = pixels.shape
    values = sum(weight * values[i : i + H] for i, weight in enumerate(weights))
    values = sum(weight * values[:, i : i + W] for i, weight in enumerate(weights))
    blurred: Pixels = np.rint(values).astype(np.uint8)
    return blurred


def _on_brightness(pixels: Pixels, change: Callable[[Pixels], Pixels]) -> Pixels:
    """A picture whose brightness is changed: Y of Y, Cr and Cb, or the grey itself."""
    if pixels.shape[2] != 3:
        grays = [change(np.ascontiguousarray(pixels[..., c])) for c in range(pixels.shape[2])]
        return np.stack(grays, axis=2)
    half, middle = 1 << 13, 128 << 14
    wide = pixels.astype(np.int64)
    y = (wide @ _LUMA + half) >> 14
    cr = (((wide[..., 2] - y) * _TO_CR + middle + half) >> 14).clip(0, 255) - 128
    cb = (((wide[..., 0] - y) * _TO_CB + middle + half) >> 14).clip(0, 255) - 128
    y = change(y.astype(np.uint8)).astype(np.int64)
    b = y + ((cb * _CB_TO_B + half) >> 14)
    g = y + ((cb * _CB_TO_G + cr * _CR_TO_G + half) >> 14)
    r = y + ((cr * _CR_TO_R + half) >> 14)
    changed: Pixels = np.stack([b, g, r], axis=2).clip(0, 255).astype(np.uint8)
    return changed


def _equalized(gray: Pixels) -> Pixels:
    counts = np.bincount(gray.reshape(-1), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    rest = gray.size - counts[first]
    if not rest:
        return gray
    sums = np.cumsum(counts) - counts[: first + 1].sum()
    table = np.rint(sums.astype(np.float32) * np.float32(255 / rest)).clip(0, 255)
    table[: first + 1] = 0
    found: Pixels = table.astype(np.uint8)[gray]
    return found


def _equalized_by_tiles(gray: Pixels) -> Pixels:
    """Contrast-limited adaptive histogram equalization."""
    H, W = gray.shape
    if H % _TILES == 0 and W % _TILES == 0:
        padded = gray
    else:
        padded = np.pad(gray, [(0, _TILES - H % _TILES), (0, _TILES - W % _TILES)], mode="reflect")
    tall, wide = padded.shape[0] // _TILES, padded.shape[1] // _TILES
    limit = max(int(_CLIP_LIMIT * tall * wide / 256), 1)
    tables = np.empty((_TILES, _TILES, 256), np.float32)
    for i in range(_TILES):
        for j in range(_TILES):
            tile = padded[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
            counts = _limited(np.bincount(tile.reshape(-1), minlength=256), limit)
            tables[i, j] = np.rint(np.cumsum(counts) * np.float32(255 / (tall * wide))).clip(0, 255)
    y, x = (np.arange(n, dtype=np.float32) / side - 0.5 for n, side in ((H, tall), (W, wide)))
    above, left = np.floor(y).astype(int), np.floor(x).astype(int)
    v, w = (y - above)[:, None], (x - left)[None]
    rows = [(above + k).clip(0, _TILES - 1)[:, None] for k in (0, 1)]
    columns = [(left + k).clip(0, _TILES - 1)[None] for k in (0, 1)]
    corner = [[tables[rows[a], columns[b], gray] for b in (0, 1)] for a in (0, 1)]
    upper = corner[0][0] * (1 - w) + corner[0][1] * w
    lower = corner[1][0] * (1 - w) + corner[1][1] * w
    found: Pixels = np.rint(upper * (1 - v) + lower * v).clip(0, 255).astype(np.uint8)
    return found


def _limited(counts: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """A histogram without peaks above the limit, what they held being spread over all of it."""
    excess = int((counts - limit).clip(0).sum())
    counts = counts.clip(None, limit) + excess // 256
    rest = excess % 256
    if rest:
        counts[np.arange(0, 256, max(256 // rest, 1))[:rest]] += 1
    return counts


def _eroded(pixels: Pixels) -> Pixels:
    padded = np.pad(pixels, [(1, 1), (1, 1), (0, 0)], constant_values=255)
    least = padded[1:-1, 1:-1].copy()
    for other in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        np.minimum(least, other, out=least)
    return np.asarray(least)


def _with_places(pixels: Pixels, param: caffe_pb2.SaltPepperParameter, places: Places) -> Pixels:
    if len(param.value) not in (1, pixels.shape[2]):
        raise DataError(f"saltpepper_param needs 1 value or {pixels.shape[2]}, got {len(param.value)}")
    out: Pixels = pixels.copy()
    out[places[1], places[0]] = np.array(param.value).astype(np.int64).astype(np.uint8)
    return out

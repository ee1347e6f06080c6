import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite.data import image
from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing

IMAGES = Path(__file__).parents[1] / "data" / "images"


def encoded(pixels, mode=None, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, kind, **options) if mode else Image.fromarray(pixels).save(
        file, kind, **options
    )
    return file.getvalue()


@pytest.fixture
def rgb():
    return np.random.RandomState(0).randint(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(("name", "color"), [("colour", True), ("grey", False)])
def test_png_files_as_opencv_reads_them(name, color):
    """What Caffe's ImageData layer gave for these five files, in three batches of two."""
    wanted = np.load(IMAGES / f"{name}.npz")["data"]
    wanted = wanted.reshape(-1, *wanted.shape[2:])
    files = [(IMAGES / f"img{i}.png").read_bytes() for i in range(5)]
    for want, file in zip(wanted, files + files[:1], strict=True):
        np.testing.assert_array_equal(image.decode(file, color), want)


def test_native_planes(rgb):
    np.testing.assert_array_equal(image.decode(encoded(rgb)), rgb.transpose(2, 0, 1)[::-1])
    gray = rgb[..., 0]
    np.testing.assert_array_equal(image.decode(encoded(gray)), gray[None])
    rgba = np.dstack([rgb, gray])
    np.testing.assert_array_equal(image.decode(encoded(rgba)), rgba.transpose(2, 0, 1)[[2, 1, 0, 3]])


def test_colour_leaves_opacity_out(rgb):
    rgba = np.dstack([rgb, rgb[..., 0]])
    np.testing.assert_array_equal(image.decode(encoded(rgba), True), rgb.transpose(2, 0, 1)[::-1])
    assert image.decode(encoded(rgba), False).shape == (1, 5, 7)


def test_gray_file_in_colour(rgb):
    np.testing.assert_array_equal(image.decode(encoded(rgb[..., 1]), True), np.stack([rgb[..., 1]] * 3))


def test_palette(rgb):
    picture = Image.fromarray(rgb).quantize(16)
    file = io.BytesIO()
    picture.save(file, "PNG")
    wanted = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(image.decode(file.getvalue()), wanted)


def test_jpeg_gray_is_its_brightness_plane():
    flat = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    file = encoded(flat, kind="JPEG", quality=100, subsampling=0)
    brightness = np.asarray(Image.open(io.BytesIO(file)).convert("YCbCr"))[..., 0]
    assert np.abs(image.decode(file, False)[0].astype(int) - brightness).max() <= 1


def test_bmp_gray_is_rounded():
    flat = np.full((2, 2, 3), (10, 20, 31), np.uint8)
    wanted = round(10 * 0.299 + 20 * 0.587 + 31 * 0.114)
    np.testing.assert_array_equal(image.decode(encoded(flat, kind="BMP"), False), wanted)


def refuses(message, *args):
    with pytest.raises(DataError, match=f"^{message}$"):
        image.decode(*args)


def test_sixteen_bits_are_too_many():
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4)
    refuses(r"cannot decode an image of mode 'I;16': only 8-bit images can be read", encoded(deep))


def test_no_image():
    refuses(
        r"cannot decode an image of 9 bytes: cannot identify image file <_io.BytesIO object at .*>",
        b"not a png",
    )


def test_half_an_image(rgb):
    file = encoded(rgb)
    with pytest.raises(DataError, match=f"^cannot decode an image of {len(file) // 2} bytes: "):
        image.decode(file[: len(file) // 2])


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = missing("reading encoded images", "Pillow", "image")
    refuses(re.escape(message), b"")

import io

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite.data import image, plain_jpeg

MANY = 1 << 20
rng = np.random.RandomState(0)
PIXELS = (np.add.outer(np.arange(37) * 5, np.arange(50) * 3)[..., None] + [0, 60, 90]).astype(np.uint8)
PIXELS[10:20] = rng.randint(0, 256, (10, 50, 3), np.uint8)


def jpeg(mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("color", [True, False, None])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 0, "quality": 97},
        {"subsampling": 1},
        {"subsampling": 2, "quality": 20},
        {"progressive": True},
        {"optimize": True, "restart_marker_rows": 1},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_pixels_are_those_of_pillows_own_way(options, color, monkeypatch):
    file = jpeg(**options)
    memory = plain_jpeg.decode(file, color, MANY)
    ours = [image.decode(file, color, packed=packed).pixels for packed in (True, False)]
    monkeypatch.setattr(plain_jpeg, "decode", lambda *_: None)
    wanted = image.decode(file, color).pixels
    for pixels in (*ours, memory if color is False else memory[..., 2::-1]):
        np.testing.assert_array_equal(pixels, wanted)
    assert ours[0].flags.c_contiguous


def test_gray_files():
    file = jpeg("L")
    for color in (False, None):
        memory = plain_jpeg.decode(file, color, MANY)
        np.testing.assert_array_equal(memory[..., 0], np.asarray(Image.open(io.BytesIO(file))))
    assert plain_jpeg.decode(file, True, MANY) is None


def test_exif_data_matter_only_where_a_picture_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = jpeg(exif=exif)
    assert plain_jpeg.decode(file, True, MANY) is None
    assert plain_jpeg.decode(file, False, MANY) is None
    assert plain_jpeg.decode(file, None, MANY).shape == (37, 50, 4)
    assert image.decode(file, True).pixels.shape == (50, 37, 3)


def test_files_that_are_left_to_pillow(monkeypatch):
    file = jpeg()
    assert plain_jpeg.decode(b"text", None, MANY) is None
    assert plain_jpeg.decode(jpeg("CMYK"), None, MANY) is None
    assert plain_jpeg.decode(file[:-2], None, MANY) is None
    assert plain_jpeg.decode(file[:-300], None, MANY) is None
    assert plain_jpeg.decode(file, None, 37 * 50 - 1) is None
    assert plain_jpeg.decode(file, None, 37 * 50) is not None
    monkeypatch.setattr(plain_jpeg, "_pillow", lambda: None)
    assert plain_jpeg.decode(file, None, MANY) is None


def test_a_picture_whose_memory_is_in_several_pieces():
    file = io.BytesIO()
    Image.new("RGB", (3000, 2000)).save(file, "JPEG")
    assert plain_jpeg.decode(file.getvalue(), True, 1 << 30) is None
    assert image.decode(file.getvalue(), True).pixels.shape == (2000, 3000, 3)

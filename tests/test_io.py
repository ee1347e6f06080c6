"""What the recorded cases (test_pycaffe_golden.py) leave open."""

import io
import math

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image

import pycaffe_lite
from pycaffe_lite.errors import ArgumentError, ImageError
from pycaffe_lite.io import Transformer, load_image, oversample, resize_image

IMAGES = FIXTURES / "pycaffe" / "data" / "images"


def test_load_image_takes_paths_and_open_files():
    path = IMAGES / "same0.png"
    want = load_image(str(path))
    assert (want.dtype, want.ndim, want.shape[2]) == (np.float32, 3, 3)
    data = io.BytesIO(path.read_bytes())
    data.seek(0, io.SEEK_END)  # as after writing into it
    with path.open("rb") as file:
        for source in (path, data, file):
            assert np.array_equal(load_image(source), want)
        assert not file.closed


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_opacity(tmp_path, mode):
    """It is left out of colours; a brightness is that of the picture on white."""
    picture = Image.new("RGBA", (2, 1), (0, 0, 255, 255))
    picture.putpixel((1, 0), (255, 0, 0, 0))
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 1
    path = tmp_path / "x.png"
    (picture if mode == "RGBA" else palette).save(path)
    assert np.array_equal(load_image(path), [[[0, 0, 1], [1, 0, 0]]])
    np.testing.assert_allclose(load_image(path, color=False)[0, :, 0], [0.0721, 1], atol=1e-6)


@pytest.mark.parametrize("end", [0, 60, 200])
def test_what_is_no_picture(tmp_path, end):
    path = tmp_path / "cut.png"
    path.write_bytes((IMAGES / "big.png").read_bytes()[:end])
    with pytest.raises(ImageError, match=f"cannot read {path}") as caught:
        load_image(path)
    assert isinstance(caught.value, OSError)  # which scripts catch


def test_programs_that_pictures_can_run_are_not_run(tmp_path):
    header = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n"
    (tmp_path / "x.eps").write_text(f"{header}showpage\n")
    with pytest.raises(ImageError, match="it is no image of a format that is read"):
        load_image(tmp_path / "x.eps")


def test_a_picture_of_too_many_pixels(tmp_path, monkeypatch):
    Image.new("L", (20, 30)).save(tmp_path / "x.png")
    monkeypatch.setenv("PYCAFFE_LITE_MAX_PIXELS", "599")
    with pytest.raises(ImageError, match="has 20 x 30 pixels, more than 599"):
        load_image(tmp_path / "x.png")
    monkeypatch.setenv("PYCAFFE_LITE_MAX_PIXELS", "600")
    assert load_image(tmp_path / "x.png", color=False).shape == (30, 20, 1)


def plain_resize(image, height, width):
    """Linear interpolation between the centres of pixels, in the range 0 to 1, with zeros outside."""
    low, high = float(image.min()), float(image.max())
    unit = (image.astype(float) - low) / (high - low)
    out = np.zeros((height, width, image.shape[2]))
    for i in range(height):
        y = (i + 0.5) * image.shape[0] / height - 0.5
        for j in range(width):
            x = (j + 0.5) * image.shape[1] / width - 0.5
            for row in (math.floor(y), math.floor(y) + 1):
                for column in (math.floor(x), math.floor(x) + 1):
                    if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                        out[i, j] += (1 - abs(y - row)) * (1 - abs(x - column)) * unit[row, column]
    return out * (high - low) + low


@pytest.mark.parametrize("size", [(5, 4), (11, 3), (2, 9), (1, 1), (7, 14)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_image_interpolates_between_centres(size, channels):
    image = np.random.default_rng(0).normal(0, 100, (5, 4, channels)).astype(np.float32)
    got = resize_image(image, size)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, plain_resize(image, *size), atol=1e-4)


def test_resize_image_errors():
    image = np.ones((4, 4, 3))
    for wrong, text in (
        (lambda: resize_image(image, (0, 4)), r"a size is \(height, width\), each 1 or more, got \(0, 4\)"),
        (lambda: resize_image(image[0], (2, 2)), r"shape \(height, width, channels\), got \(4, 3\)"),
        (lambda: resize_image(image, (2, 2), 3), "interp_order is 1, linear, or 0, the nearest pixel, not 3"),
        (lambda: oversample([image], (5, 2)), "crops of 5 x 2 are larger than the image, 4 x 4"),
    ):
        with pytest.raises(ArgumentError, match=text):
            wrong()


@pytest.mark.parametrize("kind", [list, np.array])
def test_sizes_that_are_no_tuple_resize_and_so_copy(kind):
    transformer = Transformer({"data": kind((1, 3, 4, 4))})
    transformer.set_raw_scale("data", 2)
    image = np.random.default_rng(0).random((4, 4, 3), np.float32)
    before = image.copy()
    np.testing.assert_allclose(transformer.preprocess("data", image), 2 * before, atol=1e-6)
    assert np.array_equal(image, before)


def test_the_shape_of_a_blob_describes_an_input():
    net = pycaffe_lite.Net.from_text(
        'layer { name: "d" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 2 dim: 2 } } }',
        pycaffe_lite.TEST,
    )
    transformer = Transformer({"data": net.blobs["data"].shape})
    transformer.set_transpose("data", (2, 0, 1))
    net.blobs["data"].data[...] = transformer.preprocess("data", np.ones((5, 7, 1)))
    assert (net.blobs["data"].data == 1).all()

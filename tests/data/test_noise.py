"""noise_param: each kind against its definition."""

import numpy as np
import pytest

from pycaffe_lite.data import noise
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
N = caffe_pb2.NoiseParameter


def noisy(places=None, pixels=PIXELS, **fields):
    return noise.noisy(pixels, N(**fields), places)


def test_values():
    np.testing.assert_array_equal(noisy(inverse=True), 255 - PIXELS)
    np.testing.assert_array_equal(noisy(posterize=True), PIXELS // 64 * 64 + 32)
    gray = noisy(decolorize=True)
    assert (gray == gray[..., :1]).all()
    assert np.abs(gray[..., 0] - PIXELS @ [0.114, 0.587, 0.299]).max() < 1


def test_erode():
    found = noisy(erode=True)
    for y, x in ((0, 0), (3, 5), (15, 23)):
        near = [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [PIXELS[p] for p in near if 0 <= p[0] < 16 and 0 <= p[1] < 24]
        np.testing.assert_array_equal(found[y, x], np.min(inside, axis=0))


def test_blur():
    found = noisy(gauss_blur=True)
    d = np.arange(-3, 4)
    weights = np.exp(-(d[:, None] ** 2 + d[None] ** 2) / (2 * 1.5**2))
    wanted = (PIXELS[5:12, 7:14] * weights[..., None]).sum(axis=(0, 1)) / weights.sum()
    assert np.abs(found[8, 10] - wanted).max() <= 0.5 + 1e-6
    flat = np.full((9, 9, 3), 77, np.uint8)
    np.testing.assert_array_equal(noisy(pixels=flat, gauss_blur=True), flat)


def test_even_histograms():
    dark = PIXELS // 4
    found = noisy(pixels=dark[..., :1], hist_eq=True)
    assert found.min() == 0
    assert found.max() == 255
    order = np.argsort(dark[..., 0].ravel(), kind="stable")
    assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()
    colored = noisy(pixels=dark, hist_eq=True)
    assert colored.mean() > 2 * dark.mean()
    assert noisy(pixels=dark, clahe=True).std() > dark.std()
    flat = np.full((8, 8, 1), 9, np.uint8)
    np.testing.assert_array_equal(noisy(pixels=flat, hist_eq=True), flat)


def test_jpeg():
    smooth = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[None, :, None], (16, 1, 3))
    found = noisy(pixels=smooth, jpeg=90)
    assert found.shape == smooth.shape
    assert 0 < np.abs(found.astype(int) - smooth).mean() < 3
    assert noisy(pixels=smooth[..., :1], jpeg=90).shape == smooth.shape  # it comes back in colour


def test_saltpepper():
    param = N(saltpepper=True, saltpepper_param={"fraction": 0.1, "value": [1, 2, 3]})
    places = noise.draw_places(param, 16, 24, RandomStream(5))
    assert places.shape == (2, 38)
    draws = RandomStream(5).raw_array(2)
    assert places[:, 0].tolist() == [draws[0] % 24, draws[1] % 16]
    found = noise.noisy(PIXELS, param, places)
    changed = (found != PIXELS).any(axis=2)
    assert (found[changed] == [1, 2, 3]).all()
    assert set(zip(*np.nonzero(changed), strict=True)) <= set(zip(places[1], places[0], strict=True))
    param.saltpepper_param.value.pop()
    with pytest.raises(DataError, match=r"^saltpepper_param needs 1 value or 3, got 2$"):
        noise.noisy(PIXELS, param, places)


def test_hsv():
    found = noisy(convert_to_hsv=True)
    np.testing.assert_array_equal(found[..., 2], PIXELS.max(axis=2))
    with pytest.raises(DataError, match=r"are for pictures in colour$"):
        noisy(pixels=PIXELS[..., :1], convert_to_hsv=True)

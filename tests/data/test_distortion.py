"""Changes of colours against Python's colorsys, and larger canvases."""

import colorsys

import numpy as np
import pytest

from pycaffe_lite.data import distortion
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)


def by_colorsys(hue=0.0, saturation=1.0):
    """Each pixel's hue moved and its saturation scaled, in exact numbers."""
    out = np.empty(PIXELS.shape)
    for place in np.ndindex(PIXELS.shape[:2]):
        b, g, r = PIXELS[place] / 255
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        out[place] = colorsys.hsv_to_rgb(h + hue / 180, min(s * saturation, 1), v)[::-1]
    return out * 255


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.4])
def test_saturation(factor):
    """Hue and saturation are rounded to 8 bits on the way, which may cost a few steps."""
    found = distortion.changed(PIXELS, [(distortion.SATURATION, factor)])
    assert np.abs(found - by_colorsys(saturation=factor)).max() < 6


def test_hue():
    pixels = PIXELS[
        distortion.changed(PIXELS, []).argmax(axis=2) == 1
    ]  # green: far from the ends of the circle
    found = distortion.changed(pixels[None], [(distortion.HUE, 10.0)])[0]
    wanted = by_colorsys(hue=10)[PIXELS.argmax(axis=2) == 1]
    assert np.abs(found - wanted).max() < 8


def test_brightness_and_contrast():
    changes = [(distortion.BRIGHTNESS, 20.4), (distortion.CONTRAST, 1.5)]
    brighter = np.rint(PIXELS + 20.4).clip(0, 255)
    np.testing.assert_array_equal(
        distortion.changed(PIXELS, changes), np.rint(brighter * 1.5).clip(0, 255).astype(np.uint8)
    )
    np.testing.assert_array_equal(distortion.changed(PIXELS, [(distortion.CONTRAST, 1.0005)]), PIXELS)


def test_order():
    orders = {distortion.changed(PIXELS, [(distortion.ORDER, float(i))]).tobytes() for i in range(6)}
    assert len(orders) == 6
    assert PIXELS.tobytes() in orders


def test_colours_of_gray_stay():
    gray = PIXELS[..., :1]
    changes = [(distortion.SATURATION, 2.0), (distortion.HUE, 9.0), (distortion.ORDER, 3.0)]
    np.testing.assert_array_equal(distortion.changed(gray, changes), gray)


def test_what_is_drawn():
    param = caffe_pb2.DistortionParameter(
        brightness_prob=1, brightness_delta=32, hue_prob=1, hue_delta=18, random_order_prob=0
    )
    seen = set()
    for seed in range(20):
        changes = dict(distortion.draw_changes(param, RandomStream(seed)))
        assert set(changes) == {"brightness", "hue"}
        assert abs(changes["brightness"]) <= 32
        assert abs(changes["hue"]) <= 18
        seen.add(round(changes["hue"], 3))
    assert len(seen) == 20
    stream = RandomStream(1)
    distortion.draw_changes(caffe_pb2.DistortionParameter(), stream)
    wanted = RandomStream(1)
    wanted.raw_array(6)  # which order; for each of the five steps whether it takes place
    assert stream.raw() == wanted.raw()


def test_canvas():
    param = caffe_pb2.ExpansionParameter(max_expand_ratio=3)
    for seed in range(10):
        place = distortion.draw_expansion(param, 6, 7, RandomStream(seed))
        canvas = distortion.expanded(PIXELS, place, [1, 2, 300])
        assert canvas.shape == (place.height, place.width, 3)
        inside = canvas[place.top : place.top + 6, place.left : place.left + 7]
        np.testing.assert_array_equal(inside, PIXELS)
        assert (canvas == [1, 2, 255]).all(axis=2).sum() >= place.height * place.width - 42
        box = place.box(6, 7) * [7, 6, 7, 6]
        np.testing.assert_allclose(
            box, [-place.left, -place.top, place.width - place.left, place.height - place.top], rtol=1e-6
        )
    assert distortion.draw_expansion(caffe_pb2.ExpansionParameter(prob=0), 6, 7, RandomStream(1)) is None

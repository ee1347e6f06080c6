"""Detector; what the recorded cases of Caffe's own compare is in test_pycaffe_golden.py."""

import numpy as np
import pytest
from PIL import Image

import pycaffe_lite as caffe
from pycaffe_lite.errors import ArgumentError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "sum" type: "Reduction" bottom: "data" top: "sum" reduction_param { axis: 1 operation: MEAN } }
"""


@pytest.fixture
def make(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    caffe.Net(tmp_path / "n.prototxt", caffe.TEST).save(tmp_path / "w.caffemodel")
    return lambda **options: caffe.Detector(tmp_path / "n.prototxt", tmp_path / "w.caffemodel", **options)


@pytest.fixture
def image(tmp_path):
    """A file whose rows are 0, 1, 2, ... of 255."""
    pixels = np.repeat(np.arange(12, dtype=np.uint8), 36).reshape(12, 12, 3)
    Image.fromarray(pixels).save(tmp_path / "rows.png")
    return str(tmp_path / "rows.png")


def test_each_window_has_its_prediction(make, image):
    windows = [np.array([0, 0, 6, 6]), np.array([3, 2, 9, 8]), np.array([6, 6, 12, 12])]
    found = make(raw_scale=255).detect_windows([(image, windows[:2]), (image, windows[2:])])
    assert [one["filename"] for one in found] == [image] * 3
    for one, window in zip(found, windows, strict=True):
        assert one["window"] is window
        assert one["prediction"] == pytest.approx(window[0] + 2.5, rel=1e-5)  # the mean of six rows


def test_no_windows(make, image):
    assert make().detect_windows([]) == make().detect_windows([(image, [])]) == []


def test_windows_of_the_nets_size_do_not_change_the_image(make, image):
    """The crop is a view of the image, and preprocessing works in place."""
    window = np.array([4, 4, 10, 10])
    one, two = make(raw_scale=255).detect_windows([(image, [window, window])])
    assert np.array_equal(one["prediction"], two["prediction"])


def test_without_context_a_crop_is_the_window(make):
    im = np.random.default_rng(0).random((9, 8, 3))
    crop = make().crop(im, (1, 2, 5, 8))
    assert np.shares_memory(crop, im)
    np.testing.assert_array_equal(crop, im[1:5, 2:8])


def test_context_around_a_window(make):
    """Of the input's 6 pixels, 1 on each side is context: a window of 4 x 4 shows 6 x 6 of the image."""
    im = np.arange(12 * 12 * 3, dtype=np.float32).reshape(12, 12, 3)
    crop = make(context_pad=1).crop(im, (4, 4, 7, 7))
    assert crop.shape == (6, 6, 3)
    np.testing.assert_allclose(crop[2:4, 2:4].mean((0, 1)), im[5:7, 5:7].mean((0, 1)), rtol=0.05)


def test_outside_the_image_there_is_the_mean(make):
    mean = np.array([10.0, 20.0, 30.0])
    detector = make(context_pad=2, mean=mean, raw_scale=2.0, channel_swap=(1, 2, 0))
    np.testing.assert_array_equal(detector.crop_mean.reshape(-1, 3)[0], [15, 5, 10])
    crop = detector.crop(np.ones((8, 8, 3), np.float32), (0, 0, 3, 3))
    np.testing.assert_array_equal(crop[0, 0], [15, 5, 10])
    np.testing.assert_array_equal(crop[-1, -1], [1, 1, 1])
    zeros = make(context_pad=2).crop_mean
    assert zeros.shape == (6, 6, 3)
    assert not zeros.any()


@pytest.mark.parametrize("pad", [3, -1, 10])
def test_context_that_leaves_nothing(make, pad):
    with pytest.raises(ArgumentError, match=f"context_pad {pad} leaves nothing of an input 6 wide"):
        make(context_pad=pad)


def test_selective_search_says_what_it_needs(make, image):
    with pytest.raises(ImportError, match="selective_search_ijcv_with_python"):
        make().detect_selective_search([image])

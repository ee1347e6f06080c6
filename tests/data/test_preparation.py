"""What forks do to a picture before its crop: in the transformer, and in layers that use it."""

import numpy as np
import pytest
from google.protobuf import text_format

from pycaffe_lite.data import resizing
from pycaffe_lite.data.preparation import Preparation
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

PLANES = np.random.default_rng(0).integers(0, 256, (3, 8, 12), np.uint8)
NEAREST = "resize_param { interp_mode: NEAREST }"


def prepared(text, seed=1, values=PLANES, phase=caffe_pb2.TRAIN):
    param = text_format.Parse(text, caffe_pb2.TransformationParameter())
    return Preparation(param, phase).apply(values, seed)


def test_nothing():
    assert not Preparation(caffe_pb2.TransformationParameter(crop_size=3))


def test_size_then_noise():
    found = prepared("resize_param { height: 4 width: 5 interp_mode: NEAREST } noise_param { inverse: true }")
    wanted = 255 - resizing.scaled(np.ascontiguousarray(PLANES.transpose(1, 2, 0)), 4, 5, 3)
    np.testing.assert_array_equal(found, wanted.transpose(2, 0, 1))


def test_one_of_several_interpolations():
    text = "resize_param { height: 5 width: 7 interp_mode: [NEAREST, CUBIC, AREA] }"
    assert len({prepared(text, seed).tobytes() for seed in range(20)}) == 3


def test_random_sizes():
    text = f"crop_size: 4 random_resize_param {{ min_size: 4 max_size: 6 {NEAREST} }}"
    assert {prepared(text, seed).shape for seed in range(30)} == {(3, 4, 6), (3, 5, 7), (3, 6, 9)}
    own = f"crop_size: 4 random_resize_param {{ {NEAREST} }}"
    sides = {prepared(own, seed).shape[1] for seed in range(60)}
    assert sides == set(range(8, 13))


def test_random_ratios():
    text = f"crop_size: 4 random_aspect_ratio_param {{ aspect_ratio_change: 0.8 {NEAREST} }}"
    found = [prepared(text, seed) for seed in range(20)]
    assert {each.shape for each in found} == {(3, 4, 4)}
    assert len({each.tobytes() for each in found}) > 10


def test_no_part_fits():
    text = f"crop_size: 4 random_aspect_ratio_param {{ aspect_ratio_change: 0.01 max_attempt: 1 {NEAREST} }}"
    assert (3, 4, 6) in {prepared(text, seed).shape for seed in range(20)}


@pytest.mark.parametrize("name", ["bgr2rgb", "cvt_bgr2rgb"])
def test_channels_turned_round(name):
    np.testing.assert_array_equal(prepared(f"{name}: true"), PLANES[::-1])
    np.testing.assert_array_equal(prepared(f"{name}: true", values=PLANES[:1]), PLANES[:1])


def test_parts_of_the_original():
    large = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)
    pixels = np.ascontiguousarray(large.transpose(1, 2, 0))
    cubic = caffe_pb2.ResizeParameter.CUBIC
    found = prepared("original_image: true crop_size: 9", values=large, phase=caffe_pb2.TEST)
    middle = np.ascontiguousarray(pixels[2 : 2 + 35, 4 : 4 + 49])
    np.testing.assert_array_equal(found, resizing.scaled(middle, 9, 9, cubic).transpose(2, 0, 1))
    for seed in range(8):
        stream, size = RandomStream(seed), (35, 49)
        for _ in range(10):
            area, _, ratio = (stream.uniform(1, *bounds)[0] for bounds in ((0.6, 1), (0, 1), (0.8, 1.25)))
            h, w = int((2400 * area / ratio) ** 0.5), int((2400 * area * ratio) ** 0.5)
            if h <= 40 and w <= 60:
                size = h, w
                break
        y = stream.raw() % (40 - size[0]) if size[0] < 40 else 0
        x = stream.raw() % (60 - size[1]) if size[1] < 60 else 0
        part = np.ascontiguousarray(pixels[y : y + size[0], x : x + size[1]])
        found = prepared("original_image: true crop_size: 9", seed, large)
        np.testing.assert_array_equal(found, resizing.scaled(part, 9, 9, cubic).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "original_image: true",
            "original_image needs transform_param.crop_size > 0, and mean_value, not mean_file",
        ),
        ("random_resize_param {}", "random_resize_param needs transform_param.crop_size > 0"),
        ("random_aspect_ratio_param {}", "random_aspect_ratio_param needs transform_param.crop_size > 0"),
        (
            "crop_size: 2 random_aspect_ratio_param { aspect_ratio_change: 2 }",
            "random_aspect_ratio_param needs aspect_ratio_change above 0 and up to 1, got 2",
        ),
        (
            "crop_size: 2 random_aspect_ratio_param { min_area_ratio: 0 }",
            "random_aspect_ratio_param needs 0 < min_area_ratio <= max_area_ratio <= 1, got 0 and 1",
        ),
        (
            "crop_size: 2 random_resize_param { min_size: 20 }",
            "random_resize_param draws sizes from 20 to 12: there are none",
        ),
        (
            "resize_param { height: 1 width: 1 } resize_param { height: 2 width: 2 }",
            "several resize_param are for layers of type AnnotatedData only: give one",
        ),
    ],
)
def test_errors(text, says):
    with pytest.raises(DataError) as raised:
        prepared(text)
    assert str(raised.value) == says


def test_floats():
    with pytest.raises(DataError, match=r"are for pictures of bytes$"):
        prepared("noise_param { inverse: true }", values=PLANES.astype(np.float32))

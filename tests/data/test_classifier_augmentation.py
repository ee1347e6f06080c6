"""MobileNet-YOLO's changes for classifiers, against OpenCV's where it is installed."""

import numpy as np
import pytest
from google.protobuf import text_format

from pycaffe_lite.data import classifier_augmentation as augmentation
from pycaffe_lite.data.fork_transformer import transformer_of
from pycaffe_lite.data.preparation import Preparation
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN, TransformationParameter
from pycaffe_lite.random import RandomStream

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)


def changed(text, training=True, seed=1):
    param = text_format.Parse("enable_classf_aug: true " + text, TransformationParameter())
    return augmentation.changed(PIXELS, param, training, RandomStream(seed))


def drawn(seed=1):
    """The stream behind the draws of what takes place."""
    stream = RandomStream(seed)
    stream.raw_array(3)
    return stream


def test_nothing():
    np.testing.assert_array_equal(changed(""), PIXELS)
    everything = (
        "max_rotation_angle: 9 contrast_brightness_adjustment: true smooth_filtering: true max_color_shift: 9"
    )
    np.testing.assert_array_equal(changed(everything, training=False), PIXELS)


def test_shorter_sides():
    assert changed("min_side: 10", training=False).shape == (10, 16, 3)
    side = 12 + drawn().raw() % 9
    found = changed("min_side_min: 12 min_side_max: 20")
    assert found.shape == (side, int(np.ceil(31 / (20 / side))), 3)


def test_colors_and_brightness():
    for seed in range(6):
        stream = drawn(seed)
        shift = np.array([stream.raw() % 91 for _ in range(3)])
        wanted = (PIXELS + shift * (-1 if stream.raw() % 2 else 1)).clip(0, 255)
        np.testing.assert_array_equal(changed("max_color_shift: 90 apply_probability: 1", seed=seed), wanted)
        stream = drawn(seed)
        factor, summand = stream.uniform(1, 0.5, 1.5)[0], stream.raw() % 41 - 20
        text = "contrast_brightness_adjustment: true min_contrast: 0.5 max_contrast: 1.5 apply_probability: 1"
        found = changed(f"{text} max_brightness_shift: 20", seed=seed)
        assert abs(found - (PIXELS * factor + summand).clip(0, 255)).max() <= 0.51


def test_each_takes_place_by_itself():
    text = "max_color_shift: 90 contrast_brightness_adjustment: true apply_probability: 0.5"
    kinds = set()
    for seed in range(40):
        found = changed(text, seed=seed).astype(int) - PIXELS
        inside = (PIXELS > 100) & (PIXELS < 150)
        kinds.add((bool(found.any()), len(np.unique(found[..., 0][inside[..., 0]])) > 1))
    assert {(False, False), (True, False), (True, True)} <= kinds


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("side", [1, 3, 5, 7, 9])
def test_smoothed_as_opencv_does(way, side):
    cv2 = pytest.importorskip("cv2")
    found = augmentation._smoothed(PIXELS, way, side)
    wanted = [
        lambda: cv2.GaussianBlur(PIXELS, (side, side), 0),
        lambda: cv2.blur(PIXELS, (side, side)),
        lambda: cv2.medianBlur(PIXELS, side),
        lambda: cv2.boxFilter(PIXELS, -1, (2 * side, 2 * side)),
    ][way]()
    assert abs(found.astype(int) - wanted).max() <= 1


def test_smoothed():
    for seed in range(6):
        stream = drawn(seed)
        way, side = stream.raw() % 4, 1 + 2 * (stream.raw() % 3)
        found = changed("smooth_filtering: true apply_probability: 1", seed=seed)
        np.testing.assert_array_equal(found, augmentation._smoothed(PIXELS, way, side))


@pytest.mark.parametrize("degrees", [7, -30, 90])
def test_turned_as_opencv_does(degrees):
    cv2 = pytest.importorskip("cv2")
    center = 31 / 2, 10.0
    matrix = cv2.getRotationMatrix2D(center, degrees, 1)
    smooth = cv2.GaussianBlur(PIXELS, (7, 7), 3)
    found = augmentation._turned(smooth, degrees)
    height, width = found.shape[:2]
    matrix[:, 2] += width / 2 - center[0], height / 2 - center[1]
    wanted = cv2.warpAffine(smooth, matrix, (width, height))
    # Newer versions of OpenCV read at exact places, older ones, as here, at every 32nd of a pixel.
    assert abs(found.astype(int) - wanted).max() <= 8
    assert abs(found.astype(int) - wanted).mean() < 0.7


def test_angles():
    sizes = {changed("max_rotation_angle: 4", seed=seed).shape for seed in range(40)}
    assert len(sizes) > 2


def test_mirrored_in_training_alone():
    param = TransformationParameter(enable_classf_aug=True, mirror=True)
    assert transformer_of(param, TRAIN, None).param.mirror
    assert not transformer_of(param, TEST, None).param.mirror
    assert param.mirror


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("min_contrast: 2", "needs 0 < min_contrast <= max_contrast, got 2 and 1.2"),
        ("min_side_min: 5 min_side_max: 4", "needs min_side_min up to min_side_max, got 5 and 4"),
        ("smooth_filtering: true max_smooth: 1.5", "needs max_smooth of 2 or more, or up to 1, got 1.5"),
        ("noise_param { inverse: true }", "enable_classf_aug leaves no room for noise_param"),
        ("cvt_bgr2rgb: true", "enable_classf_aug leaves no room for resize_param, original_image and"),
    ],
)
def test_errors(text, says):
    with pytest.raises(DataError, match=says):
        Preparation(text_format.Parse("enable_classf_aug: true " + text, TransformationParameter()))


def test_within_a_preparation():
    param = TransformationParameter(enable_classf_aug=True, max_color_shift=9, apply_probability=1)
    preparation = Preparation(param)
    assert preparation.is_random
    found = preparation.apply(PIXELS.transpose(2, 0, 1), 5)
    wanted = augmentation.changed(PIXELS, param, True, RandomStream(5))
    np.testing.assert_array_equal(found, wanted.transpose(2, 0, 1))

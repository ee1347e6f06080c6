import numpy as np
import pytest

from pycaffe_lite.layer.detection.resized import in_picture
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

BOXES = np.array([[0.25, 0.5, 0.75, 1.5], [-1, 0, 0.5, 0.25]])


def resize(text):
    return parse(text, caffe_pb2.ResizeParameter).message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [[50, 50, 150, 100], [0, 0, 100, 25]]),
        ("resize_mode: WARP height: 30 width: 30", [[50, 50, 150, 100], [0, 0, 100, 25]]),
        ("resize_mode: FIT_SMALL_SIZE height: 30 width: 30", [[50, 50, 150, 100], [0, 0, 100, 25]]),
        # multiples of the scales, cut off where the picture ends
        (
            "resize_mode: FIT_SMALL_SIZE height: 30 width: 30 height_scale: 60 width_scale: 400",
            [[100, 30, 200, 90], [0, 0, 200, 15]],
        ),
        # 200 x 100 fills a square's width, and its height from 1/4 to 3/4
        (
            "resize_mode: FIT_LARGE_SIZE_AND_PAD height: 30 width: 30",
            [[50, 50, 150, 100], [0, 0, 100, 25]],
        ),
        # and the height of 30 x 300, of whose width from 2/5 to 3/5
        (
            "resize_mode: FIT_LARGE_SIZE_AND_PAD height: 30 width: 300",
            [[0, 50, 200, 100], [0, 0, 100, 25]],
        ),
    ],
)
def test_in_a_picture_of_200_by_100(text, expected):
    got = in_picture(BOXES, 100, 200, resize(text) if text else None)
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_a_box_in_the_padding_is_not_moved():
    box = np.array([[0.1, 0.0, 0.2, 0.25]])
    got = in_picture(box, 100, 200, resize("resize_mode: FIT_LARGE_SIZE_AND_PAD height: 30 width: 30"))
    np.testing.assert_allclose(got, [[20, 0, 40, 25]])

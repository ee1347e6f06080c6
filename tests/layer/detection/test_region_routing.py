import numpy as np
import pytest
from cascade import R, layer


def test_hard_mining():
    images = np.array([0, 1, 0, 0, 0, 1, 0, 0])
    scores = np.array([0.5, 0.1, 0.9, 0.5, 0.2, 0.3, 0.8, 0.5])
    regions, more = np.column_stack([images, R.random((8, 4))]), R.random((8, 2, 3))
    text = "hard_mining_param { num_roi_per_image: 3 num_image: 2 }"
    rig = layer("HardMining", [scores, regions, more], text, tops=2)
    rows = [1, 2, 3, 5, 6, 7]  # of image 0 the best three and then one more; of equal scores the last
    own, others = rig.forward()
    np.testing.assert_array_equal(own[:, :, 0, 0], regions[rows])
    np.testing.assert_array_equal(others[..., 0], more[rows])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("low_scale: 20 high_scale: 40", [1, 2]),
        ("high_scale: 20", [0]),
        ("low_scale: 41", [2]),
        ("low_scale: 26 high_scale: 30", [1]),
        ("", [0, 1, 2]),
    ],
)
def test_scale_route(text, rows):
    sides = np.array([10, 20, 39.99])
    regions = np.column_stack([np.zeros((3, 3)), sides - 1, sides - 1])
    rig = layer("ScaleRoute", [regions, sides], f"scale_route_param {{ {text} }}", tops=2)
    own, others = rig.forward()
    np.testing.assert_array_equal(own[:, :, 0, 0], regions[rows])
    np.testing.assert_array_equal(others.ravel(), sides[rows])

import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 5, 4))
THETA = np.array([[0.83, 0.21, -0.13, -0.17, 0.71, 0.11], [1.37, -0.4, 0.3, 0.2, 0.57, -0.3]])


def transformed(x, theta, size):
    (H, W), (P, Q) = x.shape[2:], size
    y = np.zeros((*x.shape[:2], P, Q))
    for n, p, q in np.ndindex(len(x), P, Q):
        row, column = theta[n].reshape(2, 3) @ [2 * p / P - 1, 2 * q / Q - 1, 1]
        row, column = (row + 1) / 2 * H, (column + 1) / 2 * W
        for i in (math.floor(row), math.floor(row) + 1):
            for k in (math.floor(column), math.floor(column) + 1):
                if 0 <= i < H and 0 <= k < W:
                    y[n, :, p, q] += (1 - abs(row - i)) * (1 - abs(column - k)) * x[n, :, i, k]
    return y


@pytest.mark.parametrize(("options", "size"), [("", (5, 4)), ("output_H: 3 output_W: 7", (3, 7))])
def test_read_through_an_affine_map(options, size):
    check_layer(
        f'type: "SpatialTransformer" st_param {{ {options} }}',
        [X, THETA],
        lambda bottoms, _: [transformed(*bottoms, size)],
        threshold=1e-5,
    )


def test_numbers_that_are_not_learnt():
    fixed = "theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0.25 theta_2_2: 0.5"
    shift = R.normal(size=(2, 2)) / 5

    def reference(bottoms, _):
        rows = [[0.5, 0, t[0], 0.25, 0.5, t[1]] for t in bottoms[1]]
        return [transformed(bottoms[0], np.array(rows), (5, 4))]

    check_layer(f'type: "SpatialTransformer" st_param {{ {fixed} }}', [X, shift], reference, threshold=1e-5)


def test_a_picture_without_a_gradient():
    rig = build_layer('type: "SpatialTransformer" st_param { to_compute_dU: false }', [X, THETA])
    assert not rig.layer.allow_force_backward(0)
    rig.forward()
    (dx, dtheta), _ = rig.backward([np.ones(X.shape)], wanted=[0, 1], bottom_fill=7)
    assert not dx.any()
    assert dtheta.any()


@pytest.mark.parametrize(
    ("options", "theta", "message"),
    [
        ("", THETA[:, :2], "needs 6 numbers of its map for each of 2 pictures, got (2, 2)"),
        ("theta_1_1: 1", THETA, "needs 5 numbers of its map for each of 2 pictures, got (2, 6)"),
        ('transform_type: "projective"', THETA, 'needs transform_type "affine", got "projective"'),
        ('sampler_type: "nearest"', THETA, 'needs sampler_type "bilinear", got "nearest"'),
        ("output_H: 0", THETA, "needs output_H and output_W of 1 or more, got 0 and 4"),
    ],
)
def test_errors(options, theta, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "SpatialTransformer" st_param {{ {options} }}', [X, theta])
    assert message in str(error.value)

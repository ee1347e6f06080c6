import numpy as np
import pytest
from layer_check import build_layer, check_layer

R = np.random.default_rng(0)
X = R.normal(size=(2, 4, 3))
S = np.array([-2, 0.25, 0.75, 3])


@pytest.mark.parametrize(
    ("options", "bounded"),
    [
        ("min_value: 0.5", [0.5, 0.5, 0.75, 3]),
        ("max_value: 0.5", [-2, 0.25, 0.5, 0.5]),
        ("min_value: 0.5 max_value: 1 bias_term: true", [0.5, 0.5, 0.75, 1]),
    ],
)
def test_factors_are_brought_within_bounds_first(options, bounded):
    blobs = [S, R.normal(size=4)] if "bias" in options else [S]
    rig = build_layer(f'type: "Scale" scale_param {{ {options} }}', [X], blobs=blobs)
    (y,) = rig.forward()
    bias = blobs[1] if "bias" in options else np.zeros(4)
    np.testing.assert_allclose(y, X * np.array(bounded)[:, None] + bias[:, None], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rig.layer.blobs[0].data, bounded)


def test_gradients_of_the_product():
    check_layer(
        'type: "Scale" scale_param { min_value: -9 }',
        [X],
        lambda bottoms, blobs: [bottoms[0] * blobs[0][:, None]],
        blobs=[S],
    )


def test_factors_of_a_second_bottom():
    rig = build_layer('type: "Scale" scale_param { axis: 1 max_value: 1 }', [X, S])
    np.testing.assert_allclose(rig.forward()[0], X * np.minimum(S, 1)[:, None], rtol=1e-6)

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def values(*shape):
    return 3 * np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 7), 1), ((2, 5, 3, 4), 1), ((4, 3), 0), ((2, 3, 5), -1), ((2, 1, 300), 1)]
)
def test_axis(shape, axis):
    check_layer(
        f'type: "Softmax" softmax_param {{ axis: {axis} }}',
        [values(*shape)],
        lambda bottoms, blobs: [softmax(bottoms[0], axis)],
        in_place=True,
    )


def test_large_scores_do_not_overflow():
    y = build_layer('type: "Softmax"', [[[1e30, 1e30, -1e30]]]).forward()[0]
    assert y.tolist() == [[0.5, 0.5, 0]]


def test_nan_spoils_its_own_position_only():
    x = np.zeros((2, 3))
    x[0, 1] = np.nan
    y = build_layer('type: "Softmax"', [x]).forward()[0]
    assert np.isnan(y[0]).all()
    assert np.allclose(y[1], 1 / 3)


def test_many_classes_add_up():
    y = build_layer('type: "Softmax"', [values(4, 5000)]).forward()[0]
    assert np.allclose(y.sum(1, dtype=np.float64), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3, 0)])
def test_no_values(shape):
    assert build_layer('type: "Softmax"', [np.zeros(shape)]).forward()[0].shape == shape


def test_axis_out_of_range():
    with pytest.raises(LayerError) as error:
        build_layer('name: "s" type: "Softmax" softmax_param { axis: 2 }', [np.zeros((2, 3))])
    assert str(error.value) == ("layer 's' (Softmax): axis 2 is out of range for a blob of shape (2, 3)")

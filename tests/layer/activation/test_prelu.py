import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    x = np.random.default_rng(0).normal(size=shape)
    return np.where(abs(x) < 0.01, 0.5, x)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 5), (2, 3, 4, 5)])
def test_slope_per_channel(shape):
    def reference(bottoms, blobs):
        x, slope = bottoms[0], blobs[0].reshape(1, -1, *(1,) * (len(shape) - 2))
        return [np.where(x > 0, x, slope * x)]

    check_layer('type: "PReLU"', [values(*shape)], reference, in_place=True)


def test_one_slope_for_all_channels():
    def reference(bottoms, blobs):
        assert blobs[0].shape == ()
        return [np.where(bottoms[0] > 0, bottoms[0], blobs[0] * bottoms[0])]

    check_layer(
        'type: "PReLU" prelu_param { channel_shared: true }', [values(2, 3, 4)], reference, in_place=True
    )


def test_slopes_start_at_a_quarter_or_as_the_filler_says():
    assert build_layer('type: "PReLU"', [np.ones((2, 3))]).layer.blobs[0].data.tolist() == [0.25] * 3
    filled = build_layer('type: "PReLU" prelu_param { filler { value: 0.5 } }', [np.ones((2, 3))])
    assert filled.layer.blobs[0].data.tolist() == [0.5] * 3


def test_zero_counts_as_negative():
    rig = build_layer('type: "PReLU"', [np.zeros((1, 1))], blobs=[[4.0]])
    rig.forward()
    assert rig.backward([[[1.0]]])[0][0] == 4


def test_slope_gradient_of_many_values_is_accurate():
    x = np.full((2, 2, 500, 500), -0.1, np.float32)
    rig = build_layer('type: "PReLU"', [x])
    rig.forward()
    _, (dslope,) = rig.backward([np.ones_like(x)])
    assert np.allclose(dslope, -0.1 * 500_000, rtol=1e-6)


def test_no_slope_gradient_is_computed_where_none_is_wanted():
    rig = build_layer('type: "PReLU" param { lr_mult: 0 }', [-np.ones((2, 3))])
    rig.forward()
    assert rig.backward([np.ones((2, 3))])[1][0].tolist() == [0, 0, 0]


def test_empty_batch():
    assert build_layer('type: "PReLU"', [np.ones((0, 3))]).forward()[0].shape == (0, 3)


def test_bottom_without_channels():
    with pytest.raises(LayerError) as error:
        build_layer('type: "PReLU"', [np.ones(3)])
    assert str(error.value) == "layer 'layer' (PReLU): needs a bottom of at least 2 axes, got shape (3,)"


def test_bottom_of_five_axes():
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 1, 2))
    slopes = np.array([0.5, -0.3, 2])

    def reference(bottoms, blobs):
        return [np.where(bottoms[0] > 0, 1, blobs[0].reshape(3, 1, 1, 1)) * bottoms[0]]

    check_layer('type: "PReLU"', [x], reference, blobs=[slopes], in_place=True)


def test_number_of_channels_is_fixed_at_setup():
    rig = build_layer('type: "PReLU"', [np.ones((2, 3))])
    with pytest.raises(LayerError) as error:
        rig.forward([np.ones((2, 4))])
    assert str(error.value) == "layer 'layer' (PReLU): needs 3 channels on axis 1, got shape (2, 4)"

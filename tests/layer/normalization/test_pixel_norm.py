import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 4, 2))


def lengths(x, bias=0.0):
    r = np.empty((x.shape[0], 1, *x.shape[2:]))
    for n, h, w in np.ndindex(x.shape[0], *x.shape[2:]):
        r[n, 0, h, w] = np.sqrt(bias + sum(float(v) ** 2 for v in x[n, :, h, w]))
    return r


def test_lengths_of_channels():
    check_layer('type: "ChannelNorm"', [X], lambda bottoms, _: [lengths(bottoms[0])])


def test_a_pixel_of_zeros_has_no_gradient():
    rig = build_layer('type: "ChannelNorm"', [np.zeros((1, 2, 1, 1))])
    rig.forward()
    (dx,), _ = rig.backward([np.ones((1, 1, 1, 1))])
    assert not dx.any()


@pytest.mark.parametrize(("options", "bias"), [("", 1e-7), ("grn_param { bias: 0.5 }", 0.5)])
def test_pixels_over_their_length(options, bias):
    check_layer(f'type: "GRN" {options}', [X], lambda bottoms, _: [bottoms[0] / lengths(bottoms[0], bias)])


def test_a_gradient_that_passes():
    rig = build_layer('type: "GRN" grn_param { dummy_backward: true }', [X])
    rig.forward()
    dy = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    (dx,), _ = rig.backward([dy])
    np.testing.assert_array_equal(dx, dy)


def test_errors():
    with pytest.raises(LayerError, match=r"\(GRN\): needs a bias of 0 or more, got -1"):
        build_layer('type: "GRN" grn_param { bias: -1 }', [X])
    for name in ("GRN", "ChannelNorm"):
        with pytest.raises(LayerError, match="does not work in place"):
            build_layer(f'type: "{name}"', [X], in_place=True)

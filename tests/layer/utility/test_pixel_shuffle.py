import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("r", [2, 3])
def test_channels_become_pixels(r):
    x = np.random.default_rng(0).normal(size=(2, 2 * r * r, 3, 4))

    def reference(bottoms, blobs):
        (x,) = bottoms
        y = np.empty((len(x), 2, 3 * r, 4 * r))
        for n, c, h, w in np.ndindex(*y.shape):
            y[n, c, h, w] = x[n, (c * r + h % r) * r + w % r, h // r, w // r]
        return [y]

    check_layer(f'type: "Reshape" reshape_param {{ pixelshuffler: {r} }}', [x], reference)


@pytest.mark.parametrize("shape", [(1, 6, 2, 2), (1, 4, 2)])
def test_channels_that_do_not_fit(shape):
    with pytest.raises(LayerError) as error:
        build_layer('type: "Reshape" reshape_param { pixelshuffler: 2 }', [np.zeros(shape)])
    assert str(error.value) == (
        f"layer 'layer' (Reshape): needs a bottom of 4 axes whose channels 4 divides, got shape {shape}"
    )


def test_a_factor_below_one():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Reshape" reshape_param { pixelshuffler: 0 }', [np.zeros((1, 4, 2, 2))])
    assert str(error.value) == "layer 'layer' (Reshape): needs a pixelshuffler of at least 1, got 0"

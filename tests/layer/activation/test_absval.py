import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("shape", [(7,), (2, 3, 4, 5)])
def test_absolute_value(shape):
    x = np.random.default_rng(0).normal(size=shape)
    check_layer('type: "AbsVal"', [x], lambda bottoms, blobs: [np.sqrt(bottoms[0] ** 2)])


def test_gradient_at_zero_is_zero():
    rig = build_layer('type: "AbsVal"', [[-0.0, 0.0, 1e-20, -1e-20]])
    rig.forward()
    assert rig.backward([np.full(4, 3.0)])[0][0].tolist() == [0, 0, 3, -3]


def test_in_place_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer('type: "AbsVal"', [np.ones(3)], in_place=True)
    assert (
        str(error.value) == "layer 'layer' (AbsVal): does not work in place: give its top a name of its own"
    )

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError


def test_gradients_are_zero():
    rig = build_layer('type: "Silence"', [np.ones((2, 3)), np.ones(4)])
    assert rig.forward() == []
    dx, dz = rig.backward([], wanted=[0], bottom_fill=7.0)[0]
    assert (dx == 0).all()
    assert (dz == 7).all()


def test_top_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Silence"', [np.ones(3)], tops=1)
    assert str(error.value) == "layer 'layer' (Silence): takes exactly 0 tops, got 1"

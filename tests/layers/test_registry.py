"""The registry: what it answers to types and parameters that do not belong."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layers.base import Layer
from pycaffe_lite.layers.registry import layer_type_list, register_layer


def test_an_unknown_type_lists_the_known_ones():
    with pytest.raises(LayerError) as raised:
        build_layer('type: "Convlution"', [])
    known = ", ".join(layer_type_list())
    assert str(raised.value) == f"layer 'layer': unknown layer type 'Convlution' (known types: {known})"


def test_a_type_is_registered_once():
    with pytest.raises(ValueError, match="layer type 'ReLU' is registered twice"):
        register_layer("ReLU")(Layer)


@pytest.mark.parametrize(
    ("prototxt", "said"),
    [
        ('type: "ReLU" relu_param {}', []),
        ('type: "ReLU" tanh_param {}', ["layer 'layer' (ReLU): tanh_param has no effect on this type"]),
        ('type: "TanH" loss_param {}', ["layer 'layer' (TanH): loss_param has no effect on this type"]),
    ],
)
def test_parameters_of_another_type_are_said(prototxt, said, caplog):
    build_layer(prototxt, [np.zeros((2, 3))])
    assert caplog.messages == said

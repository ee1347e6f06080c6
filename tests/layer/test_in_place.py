import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.in_place import refuse_in_place


def test_a_top_that_is_a_bottom_is_refused():
    layer = build_layer('type: "AbsVal"', [[1.0]]).layer
    a, b, c, d = (Blob() for _ in range(4))
    refuse_in_place(layer, [a, b], [c, d])
    for top in ([a], [c, b]):
        with pytest.raises(LayerError) as error:
            refuse_in_place(layer, [a, b], top)
        assert str(error.value) == (
            "layer 'layer' (AbsVal): does not work in place: give its top a name of its own"
        )

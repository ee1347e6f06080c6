import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

TWO = "shape { dim: 2 dim: 3 } shape { dim: 4 }"


def shapes(fields, tops):
    rig = build_layer(f'type: "Input" input_param {{ {fields} }}', [], tops=tops)
    return [blob.shape for blob in rig.top]


@pytest.mark.parametrize(
    ("fields", "tops", "wanted"),
    [
        ("shape { dim: 2 dim: 3 }", 1, [(2, 3)]),
        ("shape { dim: 2 dim: 3 }", 2, [(2, 3), (2, 3)]),
        (TWO, 2, [(2, 3), (4,)]),
        ("shape { }", 1, [()]),
    ],
)
def test_a_shape_for_all_or_one_for_each(fields, tops, wanted):
    assert shapes(fields, tops) == wanted


def test_another_number_of_shapes():
    with pytest.raises(LayerError, match="needs no shape, one, or one for each of its 3 tops, got 2"):
        shapes(TWO, 3)


def test_the_data_is_the_callers():
    net = Net.from_text(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }', caffe_pb2.TEST
    )
    assert net.inputs == ["x"]
    net.blobs["x"].data[...] = [1, 2]
    net.forward()
    assert net.blobs["x"].data.tolist() == [1, 2]


def test_the_caller_may_reshape_and_without_a_shape_has_to():
    for fields in ("shape { dim: 2 }", ""):
        rig = build_layer(f'type: "Input" input_param {{ {fields} }}', [])
        rig.top[0].reshape((3, 4))
        assert np.shape(rig.forward()[0]) == (3, 4)

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ("", (2, 60)),
        ("axis: 0 end_axis: 1", (6, 4, 5)),
        ("axis: 1 end_axis: 2", (2, 12, 5)),
        ("axis: -2", (2, 3, 20)),
        ("axis: 0", (120,)),
        ("axis: 2 end_axis: 2", (2, 3, 4, 5)),
        ("axis: 2 end_axis: 1", (2, 3, 1, 4, 5)),
    ],
)
def test_axes_are_merged(options, shape):
    check_layer(
        f'type: "Flatten" flatten_param {{ {options} }}',
        [np.random.default_rng(0).normal(size=(2, 3, 4, 5))],
        lambda bottoms, blobs: [bottoms[0].reshape(shape)],
        resized=(),
    )


def test_memory_is_shared_also_after_growing():
    rig = build_layer('type: "Flatten"', [np.ones((2, 3, 4))])
    for shape in [(2, 3, 4), (5, 3, 4)]:
        rig.forward([np.ones(shape)])
        assert np.shares_memory(rig.top[0].data, rig.bottom[0].data)
        assert np.shares_memory(rig.top[0].diff, rig.bottom[0].diff)


def test_gradient_goes_through_a_chain_of_layers_that_share_memory():
    net = Net.from_document(
        parse(
            """
            force_backward: true
            layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 } } }
            layer { name: "a" type: "Reshape" bottom: "x" top: "a"
                    reshape_param { shape { dim: 2 dim: 2 dim: 6 } } }
            layer { name: "b" type: "Flatten" bottom: "a" top: "b" }
            layer { name: "c" type: "Reshape" bottom: "b" top: "c" reshape_param { shape { dim: -1 } } }
            """,
            caffe_pb2.NetParameter,
        )
    )
    net.forward(x=np.arange(24).reshape(2, 3, 4))
    assert net.blobs["c"].data.tolist() == list(range(24))
    net.backward(c=np.arange(24) * 2)
    assert net.blobs["x"].diff.ravel().tolist() == list(range(0, 48, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("axis: 3", "axis 3 is out of range for a blob of shape (2, 3, 4)"),
        ("end_axis: -4", "axis -4 is out of range for a blob of shape (2, 3, 4)"),
        (
            "axis: 2 end_axis: 0",
            "needs an end_axis not before axis, got axis 2 and end_axis 0 for bottom shape (2, 3, 4)",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Flatten" flatten_param {{ {options} }}', [np.ones((2, 3, 4))])
    assert str(error.value) == f"layer 'layer' (Flatten): {message}"


def test_in_place_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Flatten"', [np.ones((2, 3))], in_place=True)
    assert (
        str(error.value) == "layer 'layer' (Flatten): does not work in place: give its top a name of its own"
    )

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

SHAPE = (2, 3, 4, 5)


def values(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def reference(axis):
    def compute(bottoms, blobs):
        x, bias = (*bottoms, *blobs)
        return [x + bias.reshape(bias.shape + (1,) * (x.ndim - axis % x.ndim - bias.ndim))]

    return compute


@pytest.mark.parametrize(
    ("fields", "axis", "shape"),
    [
        ("", 1, (3,)),
        ("axis: -1", -1, (5,)),
        ("axis: 1 num_axes: 2", 1, (3, 4)),
        ("axis: 2 num_axes: -1", 2, (4, 5)),
        ("axis: 3 num_axes: 0", 3, ()),
        ("axis: 0", 0, (2,)),
        ("axis: 0 num_axes: -1", 0, SHAPE),
    ],
)
def test_learnt_bias(fields, axis, shape):
    prototxt = f'type: "Bias" bias_param {{ {fields} filler {{ value: 2 }} }}'
    (blob,) = build_layer(prototxt, [values(*SHAPE)]).layer.blobs
    assert blob.shape == shape
    assert (blob.data == 2).all()
    check_layer(prototxt, [values(*SHAPE)], reference(axis), in_place=True, resized=() if axis == 0 else None)


@pytest.mark.parametrize(("axis", "shape"), [(1, (3,)), (0, (2, 3)), (2, (4, 5)), (1, ()), (0, SHAPE)])
def test_bias_from_a_bottom(axis, shape):
    check_layer(
        f'type: "Bias" bias_param {{ axis: {axis} }}',
        [values(*SHAPE), values(*shape)],
        reference(axis if shape else 0),
        in_place=True,
        resized=(),
    )


def test_what_does_not_fit():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Bias"', [values(2, 3), values(4)])
    assert str(error.value) == (
        "layer 'layer' (Bias): its bias of shape (4,) does not fit bottom shape (2, 3) from axis 1 on"
    )
    with pytest.raises(LayerError) as error:
        build_layer('type: "Bias" bias_param { num_axes: 2 }', [values(2, 3)])
    assert str(error.value) == "layer 'layer' (Bias): needs 2 axes from axis 1 on, got bottom shape (2, 3)"

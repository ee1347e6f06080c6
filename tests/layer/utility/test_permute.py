import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


@pytest.mark.parametrize(
    ("order", "axes"),
    [((0, 2, 3, 1), (0, 2, 3, 1)), ((2,), (2, 0, 1, 3)), ((3, 1), (3, 1, 0, 2)), ((), (0, 1, 2, 3))],
)
def test_permute(order, axes):
    orders = " ".join(f"order: {axis}" for axis in order)
    check_layer(
        f'type: "Permute" permute_param {{ {orders} }}', [X], lambda bottoms, _: [bottoms[0].transpose(axes)]
    )


def test_transpose():
    check_layer(
        'type: "Transpose" transpose_param { dim: 2 dim: 0 dim: 1 }',
        [X[0]],
        lambda bottoms, _: [bottoms[0].transpose(2, 0, 1)],
    )


def test_an_order_that_changes_nothing_shares_the_memory():
    rig = build_layer('type: "Permute" permute_param { order: 0 }', [X])
    assert rig.top[0].shares_data(rig.bottom[0])


@pytest.mark.parametrize(
    ("prototxt", "message"),
    [
        (
            'type: "Permute" permute_param { order: 1 order: 1 }',
            "(Permute): needs each axis of bottom shape (2, 3, 4, 5) once at most, "
            "got the order [1, 1, 0, 2, 3]",
        ),
        (
            'type: "Permute" permute_param { order: 4 }',
            "(Permute): needs each axis of bottom shape (2, 3, 4, 5) once at most, "
            "got the order [4, 0, 1, 2, 3]",
        ),
        (
            'type: "Transpose" transpose_param { dim: 1 dim: 0 }',
            "(Transpose): needs each axis of bottom shape (2, 3, 4, 5) once at most, got the order [1, 0]",
        ),
    ],
)
def test_errors(prototxt, message):
    with pytest.raises(LayerError) as error:
        build_layer(prototxt, [X])
    assert str(error.value) == f"layer 'layer' {message}"


def test_in_place_is_refused():
    with pytest.raises(LayerError, match="does not work in place"):
        build_layer('type: "Permute"', [X], in_place=True)

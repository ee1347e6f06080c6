import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def best(values, top_k):
    """(index, value) of the top_k largest, equal values from the back."""
    pairs = sorted(((v, i) for i, v in enumerate(values)), reverse=True)[:top_k]
    return [i for _, i in pairs], [v for v, _ in pairs]


def numbers(*shape):
    return np.random.default_rng(0).integers(-3, 4, shape) / 2.0  # with ties


@pytest.mark.parametrize("top_k", [1, 3])
@pytest.mark.parametrize(
    ("shape", "top"), [((4, 6), (4, 1, 0)), ((3, 2, 5), (3, 1, 0)), ((3, 2, 3, 2), (3, 1, 0, 1))]
)
def test_of_whole_items(shape, top, top_k):
    top = [top_k if n == 0 else n for n in top]
    check_layer(
        f'type: "ArgMax" argmax_param {{ top_k: {top_k} }}',
        [numbers(*shape)],
        lambda bottoms, blobs: [np.reshape([best(item.ravel(), top_k)[0] for item in bottoms[0]], top)],
        gradients=(),
        resized=(),
    )


def test_of_whole_items_with_their_values():
    check_layer(
        'type: "ArgMax" argmax_param { out_max_val: true top_k: 2 }',
        [numbers(3, 2, 4)],
        lambda bottoms, blobs: [np.array([best(item.ravel(), 2) for item in bottoms[0]])],
        gradients=(),
    )


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("option", "which"), [("", 0), ("out_max_val: true", 1)])
def test_along_an_axis(axis, top_k, option, which):
    check_layer(
        f'type: "ArgMax" argmax_param {{ axis: {axis} top_k: {top_k} {option} }}',
        [numbers(3, 4, 5)],
        lambda bottoms, blobs: [np.apply_along_axis(lambda v: best(v, top_k)[which], axis, bottoms[0])],
        gradients=(),
    )


def test_of_equal_values_the_last():
    assert build_layer('type: "ArgMax"', [np.zeros((1, 5))]).forward()[0].ravel().tolist() == [4]


def test_one_axis_is_a_batch_of_single_values():
    assert build_layer('type: "ArgMax"', [np.zeros(2)]).forward()[0].tolist() == [[[0]], [[0]]]


def test_empty_batch():
    assert build_layer('type: "ArgMax"', [np.ones((0, 5))]).forward()[0].shape == (0, 1, 1)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("axis: 2", (2, 3), "axis 2 is out of range for a blob of shape (2, 3)"),
        (
            "top_k: 4",
            (2, 3),
            "needs a top_k from 1 to the 3 values to choose from, got 4 and bottom shape (2, 3)",
        ),
        (
            "axis: 0 top_k: 3",
            (2, 3),
            "needs a top_k from 1 to the 2 values to choose from, got 3 and bottom shape (2, 3)",
        ),
        (
            "top_k: 0",
            (2, 3),
            "needs a top_k from 1 to the 3 values to choose from, got 0 and bottom shape (2, 3)",
        ),
        ("", (), "needs a bottom of at least 1 axis, got shape ()"),
    ],
)
def test_errors(options, shape, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "ArgMax" argmax_param {{ {options} }}', [np.ones(shape)])
    assert str(error.value) == f"layer 'layer' (ArgMax): {message}"


def test_gradient_is_refused():
    rig = build_layer('type: "ArgMax"', [np.ones((2, 3))])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((2, 1, 1))], wanted=[0])
    assert str(error.value) == "layer 'layer' (ArgMax): has no gradient to propagate down to its bottom"

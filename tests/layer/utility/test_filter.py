import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("selector", [[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, -0.5, 0], [0, 0, 0, 0, 0]])
@pytest.mark.parametrize("shape", [(5,), (5, 1, 1, 1)])
def test_items_with_a_selector(selector, shape):
    numbers = np.random.default_rng(0)
    kept = [i for i, value in enumerate(selector) if value]
    check_layer(
        'type: "Filter" top: "a" top: "b"',
        [numbers.normal(size=(5, 3)), numbers.normal(size=(5, 2, 2)), np.reshape(selector, shape)],
        lambda bottoms, blobs: [bottoms[0][kept], bottoms[1][kept]],
        resized=(),
    )


def test_selection_changes_from_one_forward_to_the_next():
    x = np.arange(6.0).reshape(3, 2)
    rig = build_layer('type: "Filter"', [x, np.zeros(3)])
    assert rig.top[0].shape == (3, 2)  # the selector counts from the first forward on
    assert rig.forward([x, [0, 1, 0]])[0].tolist() == [[2, 3]]
    assert rig.forward([x, [1, 0, 1]])[0].tolist() == [[0, 1], [4, 5]]
    assert rig.backward([[[5, 6], [7, 8]]], bottom_fill=9.0)[0][0].tolist() == [[5, 6], [0, 0], [7, 8]]


@pytest.mark.parametrize(
    ("shapes", "tops", "message"),
    [
        (
            [(3, 2), (3,)],
            2,
            "takes one top for each bottom but the selector, got 2 bottoms and 2 tops",
        ),
        ([(3, 2), (3, 2)], 1, "needs a selector with one value for each item, got shape (3, 2)"),
        ([(3, 2), ()], 1, "needs a selector with one value for each item, got shape ()"),
        (
            [(3, 2), (4, 2), (3,)],
            2,
            "needs bottoms of as many items as the selector has, 3, got shape (4, 2) for bottom 1",
        ),
        ([(), (3,)], 1, "needs bottoms of as many items as the selector has, 3, got shape () for bottom 0"),
    ],
)
def test_errors(shapes, tops, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "Filter"', [np.ones(shape) for shape in shapes], tops=tops)
    assert str(error.value) == f"layer 'layer' (Filter): {message}"


def test_gradient_of_the_selector_is_refused():
    rig = build_layer('type: "Filter"', [np.ones((3, 2)), np.ones(3)])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((3, 2))], wanted=[0, 1])
    assert str(error.value) == (
        "layer 'layer' (Filter): has no gradient to propagate down to its selector, bottom 1"
    )

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("index", [[3, 0, 2, 1], [1, 1, 1, 0, 3, 1], [2], [0.0, 2.75]])
def test_items_in_the_order_of_the_index(index):
    check_layer(
        'type: "BatchReindex"',
        [np.random.default_rng(0).normal(size=(4, 3, 2)), np.array(index)],
        lambda bottoms, blobs: [np.stack([bottoms[0][int(i)] for i in bottoms[1]])],
    )


def test_no_index_gives_no_items():
    rig = build_layer('type: "BatchReindex"', [np.ones((4, 3)), np.ones(0)])
    assert rig.forward()[0].shape == (0, 3)
    assert (rig.backward([np.ones((0, 3))], bottom_fill=7.0)[0][0] == 0).all()


@pytest.mark.parametrize(
    ("x", "index", "message"),
    [
        ((), [0], "needs a first bottom of at least 1 axis, got shape ()"),
        ((4, 3), [[0], [1]], "needs an index of 1 axis, got shape (2, 1)"),
        ((4, 3), [0, 4], "needs indices from 0 to 3, got 4"),
        ((4, 3), [0, -0.5], "needs indices from 0 to 3, got -0.5"),
        ((4, 3), [np.nan], "needs indices from 0 to 3, got nan"),
    ],
)
def test_errors(x, index, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "BatchReindex"', [np.ones(x), np.array(index)]).forward()
    assert str(error.value) == f"layer 'layer' (BatchReindex): {message}"


def test_gradient_of_the_index_is_refused():
    rig = build_layer('type: "BatchReindex"', [np.ones((4, 3)), np.zeros(2)])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((2, 3))], wanted=[0, 1])
    assert str(error.value) == (
        "layer 'layer' (BatchReindex): has no gradient to propagate down to its index, bottom 1"
    )

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "EuclideanLoss"'


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((3, 2, 4), (3, 8)), ((5,), (5, 1, 1, 1))])
def test_loss_and_gradients_of_both_sides(shapes):
    check_layer(
        TYPE,
        [values(*shape, seed=i) for i, shape in enumerate(shapes)],
        lambda b, blobs: [((b[0].ravel() - b[1].ravel()) ** 2).sum() / (2 * len(b[0]))],
        gradients=(0, 1),
    )


def test_many_values_add_up():
    x = np.full((2, 1_000_000), 0.1)
    assert np.isclose(build_layer(TYPE, [x, 0 * x]).forward()[0], 0.01 * 500_000, rtol=1e-6)


def error_of(*shapes):
    with pytest.raises(LayerError) as error:
        build_layer(TYPE, [np.ones(shape) for shape in shapes])
    return str(error.value).removeprefix("layer 'layer' (EuclideanLoss): ")


def test_what_does_not_fit():
    assert error_of((2, 3), (3, 2)) == "needs bottoms of one batch size, got shapes (2, 3) and (3, 2)"
    assert error_of((2, 3), (2, 4)) == "needs bottoms of as many values, got shapes (2, 3) and (2, 4)"
    assert error_of((0, 3), (0, 3)) == "cannot take the mean of no records, got bottom shape (0, 3)"
    assert error_of((2, 3), (2, 3), (2, 3)) == "takes exactly 2 bottoms, got 3"

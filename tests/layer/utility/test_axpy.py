import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1, 1)])
@pytest.mark.parametrize("space", [(4, 5), (1, 1), ()])
def test_scaled_plus_another(shape, space):
    bottoms = [R.normal(size=shape), R.normal(size=(2, 3, *space)), R.normal(size=(2, 3, *space))]
    check_layer(
        'type: "Axpy"',
        bottoms,
        lambda b, _: [b[0].reshape(2, 3, *(1 for _ in space)) * b[1] + b[2]],
    )


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 4), (2, 3, 4), (2, 3, 4)], "(2, 3), one number per channel, got shape (2, 4)"),
        ([(2, 3, 2), (2, 3, 4), (2, 3, 4)], "(2, 3), one number per channel, got shape (2, 3, 2)"),
    ],
)
def test_other_numbers_than_channels(shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "Axpy"', [np.ones(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (Axpy): needs a first bottom of shape {message}"


def test_unequal_shapes():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Axpy"', [np.ones((2, 3)), np.ones((2, 3, 4)), np.ones((2, 3, 5))])
    assert str(error.value) == (
        "layer 'layer' (Axpy): needs equal shapes of its second and third bottom, got (2, 3, 4) and (2, 3, 5)"
    )

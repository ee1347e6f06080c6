import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "HingeLoss"'


def values(*shape):
    x = np.random.default_rng(0).normal(scale=2, size=shape)
    return np.where(abs(abs(x) - 1) < 0.01, 0.5, x)


@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 2, 1)])
@pytest.mark.parametrize(("norm", "power"), [("", 1), ("norm: L1", 1), ("norm: L2", 2)])
def test_norms(shape, norm, power):
    label = np.random.default_rng(1).integers(4, size=shape[0])

    def reference(bottoms, blobs):
        x = bottoms[0].reshape(shape[0] + len(bottoms[0]) - shape[0], -1).copy()
        x[np.arange(len(x)), bottoms[1].astype(int)] *= -1
        return [(np.maximum(0, 1 + x) ** power).sum() / len(x)]

    check_layer(f"{TYPE} hinge_loss_param {{ {norm} }}", [values(*shape), label], reference)


def test_at_the_boundary_there_is_no_gradient():
    rig = build_layer(TYPE, [[[1.0, -1.0, 0.0]], [0]])
    assert rig.forward()[0] == 1
    assert rig.backward([3.0])[0][0].tolist() == [[0, 0, 3]]


def error_of(*bottoms):
    with pytest.raises(LayerError) as error:
        build_layer(TYPE, bottoms).forward()
    return str(error.value).removeprefix("layer 'layer' (HingeLoss): ")


def test_what_does_not_fit():
    x = values(2, 3)
    assert error_of(x, np.ones(3)) == "needs bottoms of one batch size, got shapes (2, 3) and (3,)"
    assert error_of(x, np.ones((2, 2))) == "needs 2 labels, got label shape (2, 2)"
    assert error_of(np.ones((0, 3)), np.ones(0)) == (
        "cannot take the mean of no records, got bottom shape (0, 3)"
    )
    assert error_of(x, [0, 3]) == "label 3 at (1,) is out of range: 3 classes, 0 to 2"


def test_no_gradient_for_labels():
    rig = build_layer(TYPE, [values(2, 3), [0, 1]])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([1.0], wanted=[1])
    assert str(error.value) == "layer 'layer' (HingeLoss): has no gradient for its labels"

import logging

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

TYPE = 'type: "MultinomialLogisticLoss"'


def probabilities(*shape):
    return np.random.default_rng(0).uniform(0.05, 1, size=shape)


def reference(bottoms, blobs):
    p, label = bottoms
    picked = p.reshape(len(p), -1)[np.arange(len(p)), label.ravel().astype(int)]
    return [-np.log(picked).mean()]


@pytest.mark.parametrize("shape", [(5, 4), (3, 2, 2, 1)])
@pytest.mark.parametrize("axes", [(), (1, 1, 1)])
def test_loss_and_gradient(shape, axes):
    label = np.random.default_rng(1).integers(4, size=(shape[0], *axes))
    check_layer(TYPE, [probabilities(*shape), label], reference)


def test_a_probability_of_zero_costs_what_the_least_does():
    rig = build_layer(TYPE, [[[0.0, 1.0]], [0]])
    assert np.allclose(rig.forward()[0], -np.log(1e-20))
    assert np.allclose(rig.backward([2.0])[0][0], [[-2e20, 0]], rtol=1e-6)


def error_of(*bottoms):
    with pytest.raises(LayerError) as error:
        build_layer(TYPE, bottoms).forward()
    return str(error.value).removeprefix("layer 'layer' (MultinomialLogisticLoss): ")


def test_what_does_not_fit():
    p = probabilities(2, 3)
    assert error_of(p, np.ones(3)) == "needs bottoms of one batch size, got shapes (2, 3) and (3,)"
    assert error_of(p, np.ones((2, 2))) == "needs 2 labels, got label shape (2, 2)"
    assert error_of(np.ones((0, 3)), np.ones(0)) == (
        "cannot take the mean of no records, got bottom shape (0, 3)"
    )
    assert error_of(p, [0, 3.5]) == "label 3.5 at (1,) is out of range: 3 classes, 0 to 2"
    assert error_of(np.ones((1, 2, 1, 1, 1)), np.ones(1)) == (
        "'num' needs a blob of at most 4 axes, got shape (1, 2, 1, 1, 1)"
    )


def test_no_gradient_for_labels():
    rig = build_layer(TYPE, [probabilities(2, 3), [0, 1]])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([1.0], wanted=[1])
    assert str(error.value) == "layer 'layer' (MultinomialLogisticLoss): has no gradient for its labels"


def test_loss_param_has_no_effect_and_the_log_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        rig = build_layer(f"{TYPE} loss_param {{ normalization: NONE }}", [probabilities(2, 3), [0, 1]])
    assert caplog.messages == [
        "layer 'layer' (MultinomialLogisticLoss): loss_param has no effect on this type"
    ]
    assert np.array_equal(rig.forward(), build_layer(TYPE, [probabilities(2, 3), [0, 1]]).forward())

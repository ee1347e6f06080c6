import logging

import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.array([[0.9, 0.1, -0.3], [0.2, 0.3, 0.8], [0.7, 0.25, 0.6]])
LABELS = np.array([0, 1, 2.0])


def added(x, bias):
    y = x.copy()
    for n, label in enumerate(LABELS.astype(int)):
        if y[n, label] > -bias:
            y[n, label] += bias
    return y


@pytest.mark.parametrize("bias", [-0.5, 0.5])
def test_a_margin_is_taken_off_the_label(bias):
    text = f'type: "LabelSpecificAdd" label_specific_add_param {{ bias: {bias} }}'
    check_layer(text, [X, LABELS], lambda b, _: [added(b[0], -0.5)], resized=(), in_place=True)
    check_layer(text, [X, LABELS], lambda b, _: [b[0]], phase=TEST, resized=())


def test_openvinos_sign_is_said(caplog):
    with caplog.at_level(logging.INFO):
        build_layer('type: "LabelSpecificAdd" label_specific_add_param { bias: 0.5 }', [X, LABELS])
    assert "bias 0.5 is taken off the label's score, as in OpenVINO's fork" in caplog.text


def test_a_bias_that_changes():
    fields = "bias_base: -0.1 bias_gamma: -0.1 bias_power: 2 bias_min: -0.5 bias_max: 0 iteration: 1"
    text = f'type: "LabelSpecificAdd" label_specific_add_param {{ {fields} }}'
    rig = build_layer(text, [X, LABELS], tops=2)
    for t in (1, 2, 3, 4):
        bias = max(-0.1 + (1 - 0.1 * t) ** 2 - 1, -0.5)
        y, given = rig.forward()
        np.testing.assert_allclose(given, [bias], rtol=1e-6)
        np.testing.assert_allclose(y, added(X, bias), rtol=1e-6, atol=1e-6)
    other = build_layer(text, [X, LABELS], tops=2)
    assert other.layer.set_state(rig.layer.state()) == ""
    np.testing.assert_array_equal(other.forward()[1], rig.forward()[1])
    assert "starts afresh" in other.layer.set_state(b"x")


def test_errors():
    with pytest.raises(LayerError, match="needs 3 labels for scores"):
        build_layer('type: "LabelSpecificAdd"', [X, LABELS[:2]])
    rig = build_layer('type: "LabelSpecificAdd"', [X, LABELS + 1])
    with pytest.raises(LayerError, match="is out of range: 3 classes, 0 to 2"):
        rig.forward()

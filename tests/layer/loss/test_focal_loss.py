import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 2, 2)) * 2
LABELS = R.integers(0, 3, size=(2, 2, 2)).astype(float)


def focal(x, labels, gamma=2.0, alpha=1.0, sign=-1, ignored=None):
    total, count = 0.0, 0
    for n, h, w in np.ndindex(*labels.shape):
        label = int(labels[n, h, w])
        if label == ignored:
            continue
        column = x[n, :, h, w]
        p = math.exp(column[label]) / sum(math.exp(v) for v in column)
        total -= (alpha + sign * p) ** gamma * math.log(p)
        count += 1
    return total / max(count, 1)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("", {}),
        ("gamma: 1", {"gamma": 1}),
        ("gamma: 0", {"gamma": 0}),
        ("gamma: 0.5", {"gamma": 0.5}),
        ("type: LINEAR", {}),
        ("type: ONEADDP", {"sign": 1}),
        ("type: ONEADDP gamma: 3", {"sign": 1, "gamma": 3}),
    ],
)
def test_with_an_alpha_of_1_the_gradient_is_the_true_one(options, numbers):
    check_layer(
        f'type: "FocalLoss" focal_loss_param {{ {options} }}',
        [X, LABELS],
        lambda bottoms, _: [focal(*bottoms, **numbers)],
        threshold=1e-5,
    )


def test_labels_that_are_ignored():
    check_layer(
        'type: "FocalLoss" loss_param { ignore_label: 1 }',
        [X, LABELS],
        lambda bottoms, _: [focal(*bottoms, ignored=1)],
        threshold=1e-5,
    )


def test_the_softmax_as_second_top_and_another_axis():
    x = np.moveaxis(X, 1, -1)
    rig = build_layer('type: "FocalLoss" top: "l" top: "p" softmax_param { axis: -1 }', [x, LABELS])
    loss, p = rig.forward()
    np.testing.assert_allclose(loss, focal(X, LABELS), rtol=1e-5)
    np.testing.assert_allclose(p, np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True), rtol=1e-5)


def test_another_alpha():
    """The fork's gradient is that of (1 - p) still, which another alpha leaves as it is."""
    rig = build_layer('type: "FocalLoss" focal_loss_param { alpha: 2 }', [X, LABELS])
    np.testing.assert_allclose(rig.forward()[0], focal(X, LABELS, alpha=2), rtol=1e-5)
    (dx, _), _ = rig.backward([np.array(3.0)])
    right = np.zeros(X.shape)
    for n, h, w in np.ndindex(*LABELS.shape):
        p = np.exp(X[n, :, h, w]) / np.exp(X[n, :, h, w]).sum()
        label = int(LABELS[n, h, w])
        of_label, scale = p[label], (2 - p[label]) ** 2
        slope = scale - 2 * scale * of_label * np.log(of_label) / (1 - of_label)
        right[n, :, h, w] = 3 / LABELS.size * slope * (p - (np.arange(3) == label))
    np.testing.assert_allclose(dx, right, rtol=1e-4, atol=1e-7)


def test_a_fraction_as_the_power_of_a_negative_number():
    rig = build_layer('type: "FocalLoss" focal_loss_param { alpha: 0.25 gamma: 0.5 }', [[[9.0, 0]], [0.0]])
    assert np.isnan(rig.forward()[0])


def test_nothing_counts():
    rig = build_layer('type: "FocalLoss" loss_param { ignore_label: 1 }', [X, np.ones(LABELS.shape)])
    assert rig.forward()[0] == 0
    (dx, _), _ = rig.backward([np.array(1.0)])
    assert not dx.any()


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ("gamma: -1", (2, 2, 2), "needs gamma of 0 or more and alpha above 0, got -1 and 1"),
        ("alpha: 0", (2, 2, 2), "needs gamma of 0 or more and alpha above 0, got 2 and 0"),
        (
            "",
            (2, 2),
            "needs 8 labels for scores of shape (2, 3, 2, 2) with the classes on axis 1, "
            "got label shape (2, 2)",
        ),
    ],
)
def test_errors(options, labels, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "FocalLoss" focal_loss_param {{ {options} }}', [X, np.zeros(labels)])
    assert str(error.value) == f"layer 'layer' (FocalLoss): {message}"


def test_a_label_beyond_the_classes():
    rig = build_layer('type: "FocalLoss"', [X, LABELS + 1])
    with pytest.raises(LayerError) as error:
        rig.forward()
    place = tuple(int(i[0]) for i in np.nonzero(LABELS == 2))
    assert str(error.value) == (
        f"layer 'layer' (FocalLoss): label 3 at {place} is out of range: 3 classes, 0 to 2; "
        "set ignore_label to skip it"
    )


def test_labels_have_no_gradient():
    rig = build_layer('type: "FocalLoss"', [X, LABELS])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[1])
    assert str(error.value) == "layer 'layer' (FocalLoss): has no gradient for its labels"


@pytest.mark.parametrize(
    ("options", "alpha", "gamma"),
    [("axis: 1", 0.25, 2), ("axis: 1 alpha: 0.5 gamma: 1.5", 0.5, 1.5), ("axis: 1 gamma: 0", 0.25, 0)],
)
def test_an_alpha_that_is_a_factor(options, alpha, gamma):
    """The form of jolibrain and others; its gradient is the true one."""
    check_layer(
        f'type: "FocalLoss" focal_loss_param {{ {options} }}',
        [X, LABELS],
        lambda bottoms, _: [alpha * focal(*bottoms, gamma=gamma)],
        threshold=1e-5,
    )


def test_a_small_alpha_is_spoken_of(caplog):
    build_layer('type: "FocalLoss" focal_loss_param { alpha: 0.25 }', [X, LABELS])
    (message,) = caplog.messages
    assert "alpha 0.25 takes the place of the 1" in message
    with pytest.raises(LayerError, match="has either an axis or a type"):
        build_layer('type: "FocalLoss" focal_loss_param { axis: 1 type: LINEAR }', [X, LABELS])

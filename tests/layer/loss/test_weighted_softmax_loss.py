import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 2, 2)) * 3
LABELS = R.integers(0, 3, size=(2, 1, 2, 2)).astype(float)
LABELS[0, 0, 0, 0] = 7
WEIGHTS = [0.5, 2.0, 0.25]
SEGNETS = "weight_by_label_freqs: true class_weighting: 0.5 class_weighting: 2 class_weighting: 0.25"


def losses_of(x, labels, weights, ignored):
    """The loss of each position, and how many count."""
    losses, count = np.zeros(labels.shape), 0
    for n, _, h, w in np.ndindex(*labels.shape):
        label = int(labels[n, 0, h, w])
        if label == ignored:
            continue
        column = x[n, :, h, w]
        p = math.exp(column[label]) / sum(math.exp(v) for v in column)
        losses[n, 0, h, w] = -weights[label] * math.log(p)
        count += 1
    return losses, count


@pytest.mark.parametrize(
    ("options", "divisor"),
    [
        ("", None),
        ("normalize: true", None),
        ("normalize: false", 2),
        ("normalization: FULL", 8),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 5", 5),
    ],
)
def test_segnets_weights_of_classes(options, divisor):
    """The number of positions divides, not the sum of their weights."""

    def reference(bottoms, _):
        losses, count = losses_of(*bottoms, WEIGHTS, 7)
        return [losses.sum() / (divisor or count)]

    check_layer(
        f'type: "SoftmaxWithLoss" loss_param {{ {SEGNETS} ignore_label: 7 {options} }}',
        [X, LABELS],
        reference,
        resized=(),
    )


def test_weights_count_only_where_asked_for():
    text = (
        'type: "SoftmaxWithLoss" top: "l" top: "p" top: "each" loss_weight: 1 loss_weight: 0 loss_weight: 0'
    )
    options = SEGNETS.replace("true", "false")
    rig = build_layer(f"{text} loss_param {{ {options} ignore_label: 7 }}", [X, LABELS])
    losses, count = losses_of(X, LABELS, [1] * 3, 7)
    np.testing.assert_allclose(rig.forward()[0], losses.sum() / count, rtol=1e-5)


@pytest.mark.parametrize("type_name", ["SoftmaxWithLoss", "SoftmaxWithLossOHEM"])
def test_rfcns_loss_of_each_position(type_name):
    def reference(bottoms, _):
        x = bottoms[0]
        losses, count = losses_of(*bottoms, [1] * 3, 7)
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return [losses.sum() / count, p, losses]

    check_layer(
        f'type: "{type_name}" top: "l" top: "p" top: "each" loss_weight: 1 loss_weight: 0 loss_weight: 0 '
        "loss_param { ignore_label: 7 }",
        [X, LABELS],
        reference,
    )


def test_nothing_counts():
    rig = build_layer(
        f'type: "SoftmaxWithLoss" loss_param {{ {SEGNETS} ignore_label: 7 }}', [X, np.full(LABELS.shape, 7)]
    )
    assert rig.forward()[0] == 0
    (dx, _), _ = rig.backward([np.array(1.0)])
    assert not dx.any()


def test_another_number_of_weights_than_classes():
    with pytest.raises(LayerError) as error:
        build_layer(
            'type: "SoftmaxWithLoss" loss_param { weight_by_label_freqs: true class_weighting: 1 }',
            [X, LABELS],
        )
    assert str(error.value) == (
        "layer 'layer' (SoftmaxWithLoss): needs 3 numbers of class_weighting, one per class, got 1"
    )


def test_a_label_beyond_the_classes():
    rig = build_layer(f'type: "SoftmaxWithLoss" loss_param {{ {SEGNETS} }}', [X, LABELS])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (SoftmaxWithLoss): label 7 at (0, 0, 0, 0) is out of range: 3 classes, 0 to 2; "
        "set ignore_label to skip it"
    )


def test_labels_have_no_gradient():
    rig = build_layer('type: "SoftmaxWithLossOHEM" loss_param { ignore_label: 7 }', [X, LABELS])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[1])
    assert str(error.value) == ("layer 'layer' (SoftmaxWithLossOHEM): has no gradient for its labels")

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X, LABELS = R.normal(size=(5, 2, 3)), np.array([0.0, 2, 2, 1, 2])
CENTERS = R.normal(size=(4, 6))
TEXT = 'type: "CenterLoss" loss_weight: 1 center_loss_param {{ num_output: 4 {} }}'


def loss(x, labels, centers, is_l1):
    total = 0.0
    for row, label in zip(x.reshape(len(x), -1), labels, strict=True):
        d = row - centers[int(label)]
        total += np.abs(d).sum() if is_l1 else (d * d).sum() / 2
    return total / len(x)


@pytest.mark.parametrize(("options", "is_l1"), [("", False), ('distance_type: "L1"', True)])
def test_near_the_centre_of_the_class(options, is_l1):
    check_layer(
        TEXT.format(options),
        [X, LABELS],
        lambda bottoms, blobs: [loss(*bottoms, blobs[0], is_l1)],
        blobs=[CENTERS],
        check_blobs=False,
    )


@pytest.mark.parametrize(("options", "is_l1"), [("", False), ('distance_type: "L1"', True)])
def test_the_forks_gradient_of_the_centres(options, is_l1):
    """Added once for each sample of the class, and whatever the loss weight."""
    rig = build_layer(TEXT.format(options), [X, LABELS], blobs=[CENTERS])
    rig.forward()
    _, (got,) = rig.backward([np.array(7.0)], blob_fills=[np.ones(CENTERS.shape)])
    right = np.ones(CENTERS.shape)
    for n in range(4):
        rows = X.reshape(5, 6)[n == LABELS] - CENTERS[n]
        slopes = np.sign(rows) if is_l1 else rows
        for _ in range(len(rows)):
            right[n] -= slopes.sum(axis=0) / (1 + len(rows))
    np.testing.assert_allclose(got, right, rtol=1e-5)


def test_it_counts_nothing_without_a_loss_weight():
    rig = build_layer('type: "CenterLoss" center_loss_param { num_output: 4 }', [X, LABELS])
    assert rig.layer.loss_weights == [0]


def test_features_from_another_axis_on():
    rig = build_layer(TEXT.format("axis: 2"), [X, np.arange(10) % 4], blobs=[CENTERS[:, :3]])
    np.testing.assert_allclose(
        rig.forward()[0], loss(X.reshape(10, 3), np.arange(10) % 4, CENTERS[:, :3], False), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ('num_output: 4 distance_type: "L3"', [(5, 6), (5,)], "needs distance_type 'L1' or 'L2', got 'L3'"),
        (
            "",
            [(5, 6), (5,)],
            "needs center_loss_param { num_output: ... } of 1 or more, the number of classes",
        ),
        ("num_output: 4", [(5, 6), (4,)], "needs 5 labels, got shape (4,)"),
        ("num_output: 4", [(0, 6), (0,)], "cannot take the mean of no records, got bottom shape (0, 6)"),
    ],
)
def test_errors(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'type: "CenterLoss" center_loss_param {{ {options} }}', [np.zeros(shape) for shape in shapes]
        )
    assert str(error.value) == f"layer 'layer' (CenterLoss): {message}"


def test_another_number_of_features():
    rig = build_layer(TEXT.format(""), [X, LABELS])
    with pytest.raises(LayerError) as error:
        rig.forward([np.ones((5, 5)), LABELS])
    assert str(error.value) == (
        "layer 'layer' (CenterLoss): needs 6 values from axis 1 on, got bottom shape (5, 5)"
    )


def test_a_label_beyond_the_classes():
    rig = build_layer(TEXT.format(""), [X, LABELS + 2])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (CenterLoss): label 4 at (1,) is out of range: 4 classes, 0 to 3"
    )

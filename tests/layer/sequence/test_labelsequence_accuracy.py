import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)


def scores_of(rows, classes):
    """Scores, (N, T, C), of which the rows are the best, and noise."""
    scores = R.uniform(0, 0.5, size=(*np.shape(rows), classes))
    for n, t in np.ndindex(*np.shape(rows)):
        scores[n, t, rows[n][t]] = 1
    return scores


SAID = [[1, 1, 0, 2], [0, 2, 2, 0], [1, 0, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        ([[1, 2, 0], [2, 0, 0], [1, 1, 0], [0, 0, 0]], 1),
        ([[0, 1, 2], [0, 0, 2], [1, 0, 1], [0, 0, 0]], 1),
        ([[1, 2, 0], [2, 2, 0], [1, 0, 0], [1, 0, 0]], 0.25),
    ],
)
def test_rows_that_are_read_without_a_mistake(labels, share):
    check_layer(
        'type: "LabelsequenceAccuracy"',
        [scores_of(SAID, 3), np.array(labels, float)],
        lambda bottoms, _: [np.array(share)],
        gradients=(),
        check_blobs=False,
        resized=(),
    )


def test_another_blank():
    rig = build_layer(
        'type: "LabelsequenceAccuracy" labelsequence_accuracy_param { blank_label: 2 }',
        [scores_of([[2, 0, 0, 2, 0]], 3), [[0.0, 0, 2]]],
    )
    assert rig.forward()[0] == 1


def test_of_equal_scores_the_first_symbol_counts():
    rig = build_layer('type: "LabelsequenceAccuracy"', [np.zeros((1, 3, 2)), [[0.0]]])
    assert rig.forward()[0] == 1


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ((2, 3), (2, 3), "needs scores of shape (N, T, C), got (2, 3)"),
        ((2, 3, 4, 2), (2, 3), "needs scores of shape (N, T, C), got (2, 3, 4, 2)"),
        ((2, 3, 4), (3, 3), "needs labels of 2 sequences, got shape (3, 3)"),
        ((0, 3, 4), (0, 3), "cannot take the share of no sequences, got shape (0, 3, 4)"),
        ((2, 0, 4), (2, 3), "cannot take the share of no sequences, got shape (2, 0, 4)"),
    ],
)
def test_errors(scores, labels, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "LabelsequenceAccuracy"', [np.zeros(scores), np.zeros(labels)])
    assert str(error.value) == f"layer 'layer' (LabelsequenceAccuracy): {message}"


def test_a_label_that_is_no_symbol():
    rig = build_layer('type: "LabelsequenceAccuracy"', [np.zeros((1, 3, 2)), [[2.0]]])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (LabelsequenceAccuracy): label 2 is out of range: 2 classes, 0 to 1"
    )


def test_it_has_no_gradient():
    rig = build_layer('type: "LabelsequenceAccuracy"', [np.zeros((1, 3, 2)), [[0.0]]])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[0])
    assert str(error.value) == "layer 'layer' (LabelsequenceAccuracy): has no gradient"

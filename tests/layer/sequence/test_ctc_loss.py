import itertools

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(4, 3, 3))
LABELS = np.array([[1.0, 0, 2], [0, 2, 2], [0, 0, 0]])


def loss(x, labels, blank=0):
    """The mean of -ln p(labels), over every way to say them."""
    T, N, C = x.shape
    total = 0.0
    for n in range(N):
        p = np.exp(x[:, n]) / np.exp(x[:, n]).sum(axis=1, keepdims=True)
        wanted = [label for label in labels[n] if label != blank]
        likelihood = 0.0
        for path in itertools.product(range(C), repeat=T):
            said = [s for i, s in enumerate(path) if s != blank and (i == 0 or path[i - 1] != s)]
            if said == wanted:
                likelihood += np.prod([p[t, symbol] for t, symbol in enumerate(path)])
        total -= np.log(likelihood)
    return total / N


@pytest.mark.parametrize(
    ("options", "labels", "blank"),
    [
        ("", LABELS, 0),
        ("time_step: 4 alphabet_size: 3", LABELS, 0),
        ("blank_label: 2", np.array([[0.0, 1], [2, 1], [2, 2]]), 2),
    ],
)
def test_over_all_alignments(options, labels, blank):
    check_layer(
        f'type: "CtcLoss" ctc_loss_param {{ {options} }}',
        [X, labels],
        lambda bottoms, _: [loss(*bottoms, blank)],
        gradients=(),
        check_blobs=False,
        resized=(),
    )


def test_the_gradient_is_not_divided_by_the_number_of_sequences():
    """In float64: 3 times the slope of the mean loss."""
    rig = build_layer('type: "CtcLoss"', [X, LABELS], dtype=np.float64)
    rig.forward()
    (dx, dlabels), _ = rig.backward([np.array(2.0)])
    assert not dlabels.any()
    for place in np.ndindex(X.shape):
        step = np.zeros(X.shape)
        step[place] = 1e-5
        slope = (loss(X + step, LABELS) - loss(X - step, LABELS)) / 2e-5
        assert dx[place] == pytest.approx(2 * 3 * slope, abs=1e-8)


def test_another_number_of_sequences_and_one_axis_of_labels():
    rig = build_layer('type: "CtcLoss"', [X, LABELS])
    x, labels = X[:, :1], np.array([2.0])
    np.testing.assert_allclose(rig.forward([x, labels])[0], loss(x, labels[:, None]), rtol=1e-5)


def test_labels_that_cannot_fit_count_nothing():
    x = X[:2, :2]
    labels = np.array([[1.0, 2, 1], [1, 1, 0]])  # a blank has to stand between equal ones
    rig = build_layer('type: "CtcLoss"', [x, labels])
    assert rig.forward()[0] == 0
    (dx, _), _ = rig.backward([np.array(1.0)])
    assert not dx.any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_make_the_loss_nan(value):
    x = X.copy()
    x[1, 0, 1] = value
    assert np.isnan(build_layer('type: "CtcLoss"', [x, LABELS]).forward()[0])


@pytest.mark.parametrize(
    ("options", "x", "labels", "message"),
    [
        ("", (4, 3), (3, 2), "needs scores of shape (T, N, C), got (4, 3)"),
        ("", (4, 3, 3, 2), (3, 2), "needs scores of shape (T, N, C), got (4, 3, 3, 2)"),
        ("", (4, 3, 3), (4, 2), "needs labels of 3 sequences, got shape (4, 2)"),
        ("", (4, 0, 3), (0, 2), "cannot take the mean of no sequences, got shape (4, 0, 3)"),
        ("", (0, 3, 3), (3, 2), "cannot take the mean of no sequences, got shape (0, 3, 3)"),
        ("time_step: 5", (4, 3, 3), (3, 2), "needs time_step 5 of its scores (T, N, C), got (4, 3, 3)"),
        (
            "alphabet_size: 2",
            (4, 3, 3),
            (3, 2),
            "needs alphabet_size 2 of its scores (T, N, C), got (4, 3, 3)",
        ),
        ("blank_label: 3", (4, 3, 3), (3, 2), "needs blank_label from 0 to 2, got 3"),
        ("blank_label: -1", (4, 3, 3), (3, 2), "needs blank_label from 0 to 2, got -1"),
    ],
)
def test_errors(options, x, labels, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "CtcLoss" ctc_loss_param {{ {options} }}', [np.zeros(x), np.zeros(labels)])
    assert str(error.value) == f"layer 'layer' (CtcLoss): {message}"


@pytest.mark.parametrize("label", [3, -2, np.nan])
def test_a_label_that_is_no_symbol(label):
    labels = LABELS.copy()
    labels[1, 1] = label
    rig = build_layer('type: "CtcLoss"', [X, labels])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        f"layer 'layer' (CtcLoss): label {label:g} is out of range: 3 classes, 0 to 2"
    )


def test_labels_have_no_gradient():
    rig = build_layer('type: "CtcLoss"', [X, LABELS])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[0, 1])
    assert str(error.value) == "layer 'layer' (CtcLoss): has no gradient for its labels"


def of_sequences(options="", *, x=X, indicators=None, labels):
    """A CTCLoss; labels by columns."""
    ones = np.ones(x.shape[:2])
    return build_layer(
        f'type: "CTCLoss" ctc_loss_param {{ {options} }}',
        [x, ones if indicators is None else indicators, labels],
        dtype=np.float64,
    )


@pytest.mark.parametrize(
    ("options", "labels", "spelt"),
    [
        ("", [[1, 0, 0], [0, 0, -1], [-1, -1, 5]], [[1, 0, 2], [0, 0, 2], [0, 2, 2]]),
        ("blank_index: 1", [[2, 0, -1], [0, -1, 2]], [[2, 0], [0, 1], [1, 1]]),
        ("preprocess_collapse_repeated: true", [[0, 1, 0], [0, 0, 0], [1, 0, 0]], [[0, 1], [1, 0], [0, 2]]),
    ],
)
def test_labels_of_any_number(options, labels, spelt):
    blank = 1 if options.startswith("blank") else 2
    (given,) = of_sequences(options, labels=labels).forward()
    assert given == pytest.approx(loss(X, np.array(spelt), blank), rel=1e-9)


def test_sequences_end_where_their_indicators_do():
    """Whatever stands after the end counts as little as in its gradient, which heeds no loss weight."""
    indicators = np.array([[1, 0, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1]])
    rig = of_sequences(indicators=indicators, labels=[[1, 1, 0]])
    (given,) = rig.forward()
    parts = [
        loss(X[:length, n : n + 1], [[label]], 2) for n, length, label in ((0, 4, 1), (1, 4, 1), (2, 2, 0))
    ]
    assert given == pytest.approx(np.mean(parts), rel=1e-9)
    (dx, *others), _ = rig.backward([np.array(2.0)])
    assert not dx[2:, 2].any()
    assert not any(other.any() for other in others)
    for place in [(0, 0, 0), (3, 1, 2), (1, 2, 1)]:
        step = np.zeros(X.shape)
        step[place] = 1e-5
        (ahead,), (behind,) = (
            of_sequences(x=X + s, indicators=indicators, labels=[[1, 1, 0]]).forward() for s in (step, -step)
        )
        assert dx[place] == pytest.approx(3 * (ahead - behind) / 2e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ("output_delay: 1", [[0, 0, 0]], "supports neither output_delay nor ctc_merge_repeated: false"),
        ("blank_label: 1", [[0, 0, 0]], "blank_label"),
        ("blank_index: 3", [[0, 0, 0]], "needs a blank_index below 3, got 3"),
        ("", [[0, 0]], "needs labels of 3 sequences, (L, N), got (1, 2)"),
        ("", [[0, 2, 0]], "label 2 is no symbol: 0 to 2, but not the blank"),
        ("", [[0, 0, 0]] * 3, "sequence 0 has 3 labels, which do not fit into 4 steps"),
    ],
)
def test_errors_of_ctc_loss(options, labels, message):
    with pytest.raises(LayerError) as error:
        of_sequences(options, labels=labels).forward()
    assert message in str(error.value)

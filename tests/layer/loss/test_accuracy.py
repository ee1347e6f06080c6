import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer

from pycaffe_lite.errors import LayerError


def scores(*shape):
    return np.random.default_rng(0).integers(4, size=shape).astype(float)  # ties abound


def labels(*shape, classes=5):
    return np.random.default_rng(1).integers(classes, size=shape)


def reference(axis=1, top_k=1, ignore=None, per_class=False):
    def compute(bottoms, blobs):
        x = np.moveaxis(bottoms[0], axis, 1)
        x = x.reshape(len(x), x.shape[1], -1)
        y = bottoms[1].reshape(len(x), -1).astype(int)
        right, counted = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        for n, i in np.ndindex(*y.shape):
            label = y[n, i]
            if label == ignore:
                continue
            others = sum(x[n, c, i] >= x[n, label, i] for c in range(x.shape[1]) if c != label)
            counted[label] += 1
            right[label] += others < top_k
        total = np.array(right.sum() / max(counted.sum(), 1))
        return [total, right / np.maximum(counted, 1)][: 1 + per_class]

    return compute


@pytest.mark.parametrize("top_k", [1, 2, 5])
@pytest.mark.parametrize("ignore", [None, 3])
@pytest.mark.parametrize("per_class", [False, True])
def test_options(top_k, ignore, per_class):
    ignored = "" if ignore is None else f"ignore_label: {ignore}"
    tops = 'top: "a" top: "b"' if per_class else ""
    check_layer(
        f'type: "Accuracy" {tops} accuracy_param {{ top_k: {top_k} {ignored} }}',
        [scores(30, 5, 4), labels(30, 4)],
        reference(1, top_k, ignore, per_class),
        phase=TEST,
        gradients=(),
    )


def test_axis():
    check_layer(
        'type: "Accuracy" accuracy_param { axis: -1 }',
        [scores(6, 3, 5), labels(6, 3)],
        lambda bottoms, blobs: reference()([bottoms[0].reshape(18, 5), bottoms[1].reshape(18)], blobs),
        gradients=(),
    )


def test_ties_count_against_the_label():
    assert build_layer('type: "Accuracy"', [[[1.0, 1.0, 0.0]], [0]]).forward()[0] == 0
    two = 'type: "Accuracy" accuracy_param { top_k: 2 }'
    assert build_layer(two, [[[1.0, 1.0, 0.0]], [0]]).forward()[0] == 1


def test_nan_as_the_labels_score_counts_as_correct():
    assert build_layer('type: "Accuracy"', [[[np.nan, 1.0]], [0]]).forward()[0] == 1
    assert build_layer('type: "Accuracy"', [[[np.nan, 1.0]], [1]]).forward()[0] == 1


def test_nothing_counted():
    rig = build_layer(
        'type: "Accuracy" top: "a" top: "b" accuracy_param { ignore_label: 1 }', [scores(2, 3), [1, 1]]
    )
    total, per_class = rig.forward()
    assert total == 0
    assert per_class.tolist() == [0, 0, 0]


def error_of(bottoms, fields=""):
    with pytest.raises(LayerError) as error:
        build_layer(f'name: "a" type: "Accuracy" {fields}', bottoms).forward()
    return str(error.value)


def test_what_is_refused():
    assert error_of([scores(2, 5), [1, 5]]) == (
        "layer 'a' (Accuracy): label 5 at (1,) is out of range: 5 classes, 0 to 4; "
        "set ignore_label to skip it"
    )
    assert error_of([scores(2, 5), [1, 2, 3]]) == (
        "layer 'a' (Accuracy): needs 2 labels for scores of shape (2, 5) with the classes on axis 1, "
        "got label shape (3,)"
    )
    assert error_of([scores(2, 5), [1, 2]], "accuracy_param { top_k: 6 }") == (
        "layer 'a' (Accuracy): needs top_k of at most the 5 classes, got 6"
    )


def test_no_gradient():
    rig = build_layer('name: "a" type: "Accuracy"', [scores(2, 5), [1, 2]])
    rig.forward()
    rig.backward([1.0])
    with pytest.raises(LayerError) as error:
        rig.backward([1.0], wanted=[0])
    assert str(error.value) == "layer 'a' (Accuracy): has no gradient"


@pytest.mark.parametrize(("k", "right"), [(1, 0.5), (2, 1.0)])
def test_happynears_lowest_scores_are_the_best(k, right):
    options = f"accuracy_param {{ min_is_better: true top_k: {k} }}"
    rig = build_layer(f'type: "Accuracy" {options}', [[[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [1, 1]])
    assert rig.forward()[0] == right

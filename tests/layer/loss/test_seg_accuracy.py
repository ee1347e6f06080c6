import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
SCORES = R.normal(size=(2, 4, 3, 2))
LABELS = R.integers(0, 3, size=(2, 1, 3, 2)).astype(float)  # class 3 is never right


def measures(scores, labels, ignored=()):
    """Pixel accuracy, mean recall and mean overlap, pixel by pixel."""
    N, C, H, W = scores.shape
    hits, labelled, found = np.zeros(C), np.zeros(C), np.zeros(C)
    for n, h, w in np.ndindex(N, H, W):
        label = int(labels[n, 0, h, w])
        if label in ignored:
            continue
        best = max(range(C), key=lambda c: (scores[n, c, h, w], c))
        labelled[label] += 1
        found[best] += 1
        hits[label] += label == best
    recalls = [hits[c] / labelled[c] for c in range(C) if labelled[c]]
    overlaps = [
        hits[c] / (labelled[c] + found[c] - hits[c]) if labelled[c] + found[c] else 1 for c in range(C)
    ]
    accuracy = hits.sum() / labelled.sum() if recalls else 0
    return np.reshape([accuracy, np.mean(recalls) if recalls else 0, np.mean(overlaps)], (1, 1, 1, 3))


@pytest.mark.parametrize("ignored", [(), (1,), (0, 2)])
def test_accuracy_recall_and_overlap(ignored):
    options = " ".join(f"ignore_label: {label}" for label in ignored)
    check_layer(
        f'type: "SegAccuracy" seg_accuracy_param {{ {options} }}',
        [SCORES, LABELS],
        lambda bottoms, _: [measures(*bottoms, ignored)],
        gradients=(),
        check_blobs=False,
    )


def test_of_equal_scores_the_last_class_counts():
    scores = np.zeros((1, 3, 1, 2))
    rig = build_layer('type: "SegAccuracy"', [scores, [[[[2, 0]]]]])
    np.testing.assert_allclose(rig.forward()[0].ravel(), [0.5, 0.5, (0.5 + 0 + 1) / 3])


def test_without_reset_the_pixels_of_all_passes_count():
    rig = build_layer('type: "SegAccuracy" seg_accuracy_param { reset: false }', [SCORES, LABELS])
    rig.forward()
    more = R.normal(size=SCORES.shape)
    got = rig.forward([more, LABELS])[0]
    both = measures(np.concatenate([SCORES, more]).astype(np.float32), np.concatenate([LABELS, LABELS]))
    np.testing.assert_allclose(got, both, rtol=1e-6)


def test_nothing_that_counts():
    options = "ignore_label: 0 ignore_label: 1 ignore_label: 2"
    rig = build_layer(f'type: "SegAccuracy" seg_accuracy_param {{ {options} }}', [SCORES, LABELS])
    np.testing.assert_array_equal(rig.forward()[0].ravel(), [0, 0, 1])
    np.testing.assert_array_equal(rig.forward([SCORES[:0], LABELS[:0]])[0].ravel(), [0, 0, 1])


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (
            (2, 3, 4, 5),
            (2, 1, 4, 4),
            "needs labels of shape (2, 1, 4, 5) for scores of shape (2, 3, 4, 5), got (2, 1, 4, 4)",
        ),
        ((2, 0, 4, 5), (2, 1, 4, 5), "needs scores of 1 class or more, got shape (2, 0, 4, 5)"),
    ],
)
def test_shapes_that_do_not_fit(scores, labels, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "SegAccuracy"', [np.zeros(scores), np.zeros(labels)])
    assert str(error.value) == f"layer 'layer' (SegAccuracy): {message}"


def test_another_number_of_classes():
    rig = build_layer('type: "SegAccuracy"', [SCORES, LABELS])
    with pytest.raises(LayerError) as error:
        rig.forward([SCORES[:, :3], LABELS])
    assert str(error.value) == (
        "layer 'layer' (SegAccuracy): needs 4 classes, got scores of shape (2, 3, 3, 2)"
    )


@pytest.mark.parametrize("label", [4, -1, 255, np.nan])
def test_labels_beyond_the_classes(label):
    labels = LABELS.copy()
    labels[1, 0, 2, 1] = label
    rig = build_layer('type: "SegAccuracy"', [SCORES, labels])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        f"layer 'layer' (SegAccuracy): label {label:g} is out of range: 4 classes, 0 to 3; "
        "name it by ignore_label to skip it"
    )


def test_it_has_no_gradient():
    rig = build_layer('type: "SegAccuracy"', [SCORES, LABELS])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((1, 1, 1, 3))], wanted=[0])
    assert str(error.value) == "layer 'layer' (SegAccuracy): has no gradient"

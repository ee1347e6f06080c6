"""DataSequence, by what its tops must have in common with the items that it has seen."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

RNG = np.random.default_rng(0)
LABELS = np.array([3, 4, 3, 5, 4, 5, 3, 4.0])


def items(labels):
    """Items whose first value is their label, and which are all different."""
    data = RNG.random((len(labels), 2, 3))
    data[:, 0, 0] = labels
    return data


def rig(own, tops, labels=LABELS, seed=1):
    text = f'type: "DataSequence" data_sequence_param {{ {own} }}'
    return build_layer(text, [items(labels), labels], tops=tops, seed=seed)


def forward(layer):
    layer.bottom[0].data[...] = items(layer.bottom[1].data.ravel())
    layer.layer.forward(layer.bottom, layer.top)
    return [blob.data.copy() for blob in layer.top]


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("given", ["", "label_count: 3 label_start: 3"])
def test_triplets(k, given):
    layer = rig(f"k: {k} cache_size: 4 balance_matches: false {given}", 3 + k)
    seen = set()
    for _ in range(5):
        anchors, positives, *negatives, labels = forward(layer)
        seen |= {item.tobytes() for item in anchors}
        np.testing.assert_array_equal(anchors, layer.bottom[0].data)
        np.testing.assert_array_equal(positives[:, 0, 0], LABELS)
        assert not (positives == anchors).all(axis=(1, 2)).any()
        assert labels.shape == (8, 2 + k, 1, 1)
        np.testing.assert_array_equal(labels[:, :2, 0, 0].T, [LABELS, LABELS])
        for i, negative in enumerate(negatives):
            assert (negative[:, 0, 0] != LABELS).all()
            np.testing.assert_array_equal(labels[:, 2 + i, 0, 0], negative[:, 0, 0])
        for top in (positives, *negatives):
            assert {item.tobytes() for item in top} <= seen


def test_only_the_last_items_are_kept():
    layer = rig("k: 1 cache_size: 3 balance_matches: false output_labels: false", 3)
    batches = [forward(layer) for _ in range(4)]
    recent = {item.tobytes() for batch in batches[-2:] for item in batch[0]}
    assert {item.tobytes() for item in batches[-1][1]} <= recent


def test_pairs_by_turns():
    layer = rig("k: 0 cache_size: 8", 3)
    for _ in range(3):
        anchors, others, labels = forward(layer)
        same = others[:, 0, 0] == LABELS
        np.testing.assert_array_equal(same, np.arange(8) % 2 == 0)
        np.testing.assert_array_equal(labels[:, :, 0, 0], np.stack([LABELS, others[:, 0, 0]], axis=1))
        np.testing.assert_array_equal(anchors, layer.bottom[0].data)


def test_pairs_of_other_labels():
    _, others = forward(rig("k: 0 balance_matches: false output_labels: false", 2))
    assert (others[:, 0, 0] != LABELS).all()


def test_goes_on_from_its_state():
    first, second = (rig("k: 1 cache_size: 5", 4, seed=seed) for seed in (1, 1))
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(2):
        forward(first)
    assert second.layer.set_state(first.layer.state()) == ""
    np.testing.assert_array_equal(second.layer.cache, first.layer.cache)
    np.testing.assert_array_equal(second.layer.kept, first.layer.kept)
    other = rig("k: 1 cache_size: 6", 4)
    assert "cache_size was set otherwise" in other.layer.set_state(first.layer.state())
    assert "is damaged" in other.layer.set_state(b"none")


def test_no_gradient():
    layer = rig("k: 0", 3)
    layer.forward()
    assert not layer.backward([np.ones(blob.shape) for blob in layer.top])[0][0].any()


@pytest.mark.parametrize(
    ("own", "tops", "labels", "says"),
    [
        ("k: 1", 3, LABELS, "takes 4 tops with k 1, got 3"),
        ("k: -1", 3, LABELS, "needs k of 0 or more and cache_size of 2 or more, got -1 and 256"),
        ("k: 1", 4, np.arange(8.0), "has found no other item of label 0 among 1: take larger batches"),
        ("k: 1", 4, np.zeros(8), "has found no label besides 0 among 1"),
        (
            "k: 1 label_count: 2",
            4,
            LABELS,
            "needs labels from 0 to 1, got 3 to 5: set label_start and label_count",
        ),
        ("k: 1", 4, np.zeros((8, 2)), "needs 8 labels, got shape (8, 2)"),
    ],
)
def test_errors(own, tops, labels, says):
    with pytest.raises(LayerError) as raised:
        build_layer(
            f'type: "DataSequence" data_sequence_param {{ {own} }}', [np.zeros((8, 2)), labels], tops=tops
        ).forward()
    assert says in str(raised.value)

import itertools

import numpy as np
import pytest
from cascade import MEANS, REG, STDS, layer, overlap


def maps(h=3, w=4, g=2, seed=0):
    r = np.random.default_rng(seed)
    labels = np.zeros((2 * g, 6, h, w))
    labels[:, 0] = r.choice([0, 0, 0, 1, 2], (2 * g, h, w))
    labels[:, 1:3], labels[:, 3:5] = r.uniform(0, 30, (2 * g, 2, h, w)), r.uniform(1, 30, (2 * g, 2, h, w))
    labels[:, 5] = np.where(labels[:, 0] > 0, 0.9, r.uniform(0, 0.8, (2 * g, h, w)))
    return [r.normal(size=(2 * g, 3, h, w)), r.normal(size=(2 * g, 4, h, w)) * 2, labels]


FIELDS = "cls_num: 3 field_w: 12 field_h: 8 field_w: 20 field_h: 24 stride: 8"
SIZES = np.array([[12, 8], [20, 24]])


def group_loss(bottoms, text):
    return layer("DetectionGroupLoss", bottoms, f"detection_group_loss_param {{ {FIELDS} {text} }} {REG} }}")


def cells_of(labels, multiple=4, least=5):
    """The cells with objects, and the candidates of background and how many of them count, by image."""
    for n in range(2):
        own = labels[2 * n : 2 * n + 2]
        objects = [c for c in np.ndindex(2, 3, 4) if own[c[0], 0, c[1], c[2]] > 0]
        background = [
            c for c in np.ndindex(2, 3, 4)
            if own[c[0], 0, c[1], c[2]] == 0 and own[c[0], 5, c[1], c[2]] < 0.5
        ]  # fmt: skip
        yield n, objects, background, min(max(multiple * len(objects), least), len(background))


@pytest.mark.parametrize("kind", ["Smooth_L1", "Euclidean_L2"])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_of_hard_cells(kind, weighted):
    bottoms = maps()
    scores, deltas, labels = bottoms
    probability = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    chosen, slopes, square = [], np.zeros_like(deltas), []
    for n, objects, background, count in cells_of(labels, 1, 2):
        hard = sorted(background, key=lambda c: probability[2 * n + c[0], 0, c[1], c[2]])[:count]
        chosen += [(2 * n + c[0], *c[1:], c in objects) for c in objects + hard]
    positive = [c for c in chosen if c[3]]
    weights = dict.fromkeys(chosen, 1.0)
    if weighted:
        share = [len(chosen) / 2 / len(positive), len(chosen) / 2 / (len(chosen) - len(positive))]
        weights = {c: share[0] if c[3] else share[1] for c in chosen}
    conf = [
        -weights[m, i, j, p] * np.log(probability[m, int(labels[m, 0, i, j]), i, j]) for m, i, j, p in chosen
    ]
    for m, i, j, _ in positive:
        x, y, w, h = labels[m, 1:5, i, j]
        size = SIZES[m % 2]
        target = np.concatenate(
            [(np.array([x, y]) - (np.array([j, i]) + 0.5) * 8) / size, np.log(np.maximum([w, h], 2) / size)]
        )
        for k, e in enumerate(deltas[m, :, i, j] - (target - MEANS) / STDS):
            is_square = kind == "Euclidean_L2" or abs(e) < 1
            square.append(e * e / 2 if is_square else abs(e) - 0.5)
            slopes[m, k, i, j] = e if is_square else np.sign(e)
    text = (
        f'neg_mining_type: "bootstrap" bg_multiple: 1 min_num_neg: 2 lambda: 2 bbox_loss_type: "{kind}" '
        f"pos_neg_weighted: {str(weighted).lower()}"
    )
    rig = group_loss(bottoms, text)
    top = rig.forward()[0]
    np.testing.assert_allclose(top.ravel(), [np.mean(conf) + 2 * np.mean(square), 2 * np.mean(square)])
    (ds, dt, _), _ = rig.backward([np.array([3, 5.0]).reshape(1, 1, 1, 2)])
    np.testing.assert_allclose(dt, 3 * 2 * slopes / len(square))
    right = np.zeros_like(scores)
    for (m, i, j, p), weight in weights.items():
        right[m, :, i, j] = probability[m, :, i, j]
        right[m, int(labels[m, 0, i, j]), i, j] -= 1
        right[m, :, i, j] *= 3 * weight / len(chosen)
        assert p in (True, False)
    np.testing.assert_allclose(ds, right, atol=1e-12)


@pytest.mark.parametrize("mining", ["random", "mixture"])
@pytest.mark.parametrize("ranking", ["conf_loss", "conf_prob"])
def test_how_many_cells_count(mining, ranking):
    bottoms = maps(seed=3)
    rig = group_loss(
        bottoms, f'neg_mining_type: "{mining}" neg_ranking_type: "{ranking}" bg_multiple: 1 min_num_neg: 3'
    )
    rig.forward()
    (ds, dt, _), _ = rig.backward([1.0])
    counted, with_box = ds.any(axis=1), dt.any(axis=1)
    for n, objects, _, count in cells_of(bottoms[2], 1, 3):
        assert counted[2 * n : 2 * n + 2].sum() == len(objects) + count
        assert with_box[2 * n : 2 * n + 2].sum() == len(objects)


def test_a_batch_of_cells():
    rig = group_loss(maps(seed=3), "batch_size: 4 bg_multiple: 1")
    rig.forward()
    (ds, dt, _), _ = rig.backward([1.0])
    assert ds.any(axis=1).reshape(2, -1).sum(axis=1).tolist() == [4, 4]
    assert dt.any(axis=1).reshape(2, -1).sum(axis=1).tolist() == [2, 2]


def test_offsets_are_bounded_in_the_bottom():
    bottoms = maps()
    rig = group_loss(bottoms, "field_xyr: 4 field_whr: 2")
    rig.forward()
    reach = np.array([0.25, np.log(2)])
    mean, std = [MEANS[:2].mean(), MEANS[2:].mean()], [np.sqrt(STDS[0] * STDS[1]), np.sqrt(STDS[2] * STDS[3])]
    for k in range(4):
        low, high = ((sign * reach[k // 2] - mean[k // 2]) / std[k // 2] for sign in (-1, 1))
        np.testing.assert_allclose(rig.bottom[1].data[:, k], bottoms[1][:, k].clip(low, high), rtol=1e-6)


def test_group_accuracy():
    scores, deltas, labels = maps()
    text = f"detection_group_accuracy_param {{ {FIELDS} }} {REG} }}"
    tops = layer("DetectionGroupAccuracy", [scores, deltas, labels], text, tops=2).forward()
    right, fore, found = [], [], []
    for m, i, j in itertools.product(range(4), range(3), range(4)):
        label = int(labels[m, 0, i, j])
        hit = scores[m, :, i, j].argmax() == label
        if label or labels[m, 5, i, j] < 0.5:
            right.append(hit)
        if label:
            fore.append(hit)
            t = (deltas[m, :, i, j] * STDS + MEANS).clip(
                [-0.25] * 2 + [-np.log(2)] * 2, [0.25] * 2 + [np.log(2)] * 2
            )
            size = SIZES[m % 2] * np.exp(t[2:])
            low = t[:2] * SIZES[m % 2] + (np.array([j, i]) + 0.5) * 8 - size / 2
            true = labels[m, 1:5, i, j]
            true_low = true[:2] - true[2:] / 2
            found.append(
                overlap(np.append(low, low + size - 1), np.append(true_low, true_low + true[2:] - 1))
            )
    np.testing.assert_allclose(tops[0].ravel(), [np.mean(right), np.mean(fore)])
    np.testing.assert_allclose(tops[1].item(), np.mean(found), rtol=1e-6)

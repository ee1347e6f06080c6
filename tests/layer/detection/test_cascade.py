"""The layers of Cascade R-CNN, against loops from their meaning."""

import itertools

import numpy as np
import pytest
from layer_check import F64, TEST, TRAIN, build_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
REG = "bbox_reg_param { bbox_mean: 0.1 bbox_mean: 0 bbox_mean: -0.1 bbox_mean: 0 " + "".join(
    f"bbox_std: {s} " for s in (0.5, 0.4, 0.3, 0.2)
)
MEANS, STDS = np.float32([0.1, 0, -0.1, 0]).astype(float), np.float32([0.5, 0.4, 0.3, 0.2]).astype(float)


def boxes_of(count, images=1, extent=100, seed=1):
    """(count, 5): image, x1, y1, x2, y2."""
    r = np.random.default_rng(seed)
    low = r.uniform(0, extent * 0.6, (count, 2))
    return np.column_stack([r.integers(0, images, count), low, low + r.uniform(8, extent * 0.4, (count, 2))])


def overlap(a, b, kind="IOU"):
    """Of boxes by corners."""
    w, h = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = (w + 1) * (h + 1) if w >= 0 and h > 0 else 0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    divisor = {"IOU": sum(areas) - common, "IOMU": min(areas), "IOFU": areas[0]}[kind]
    return common / divisor


def decode(box, t):
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    cx, cy = (box[0] + box[2]) / 2 + t[0] * w, (box[1] + box[3]) / 2 + t[1] * h
    w, h = w * np.exp(t[2]), h * np.exp(t[3])
    return np.array([cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w - 1) / 2, cy + (h - 1) / 2])


def kept(boxes, scores, threshold, kind="IOU"):
    rows = []
    for i in np.argsort(-scores):
        if all(overlap(boxes[k], boxes[i], kind) <= np.float32(threshold) for k in rows):
            rows.append(i)
    return rows


def layer(name, bottoms, text="", tops=None, phase=TEST):
    return build_layer(f'type: "{name}" {text}', bottoms, phase=phase, dtype=F64, tops=tops)


# ------------------------------------------------------------------------------ DecodeBBox, BboxAccuracy


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_decode_bbox(phase):
    deltas, regions = R.normal(size=(7, 8)), boxes_of(7)
    truth = np.column_stack([R.random((7, 5)), [0.1, 0.96, 0.2, 0.95, 0.9, 0.3, 1]])
    bottoms = [deltas, regions, truth] if phase == TRAIN else [deltas, regions]
    rig = layer("DecodeBBox", bottoms, REG + "}", phase=phase)
    right = [(n, *decode(box, t * STDS + MEANS)) for (n, *box), t in zip(regions, deltas[:, 4:], strict=True)]
    if phase == TRAIN:
        right = [row for row, own in zip(right, truth[:, 5], strict=True) if own < np.float32(0.95)]
    top = rig.forward()[0]
    assert top.shape == (len(right), 5, 1, 1)
    np.testing.assert_allclose(top[:, :, 0, 0], right)


def test_decode_bbox_keeps_something():
    deltas = np.zeros((2, 8))
    deltas[:, 6] = -9
    with pytest.raises(LayerError) as error:
        layer("DecodeBBox", [deltas, boxes_of(2)], phase=TRAIN).forward()
    assert str(error.value) == "layer 'layer' (DecodeBBox): keeps none of 2 boxes"


@pytest.mark.parametrize("aware", [True, False])
def test_bbox_accuracy(aware):
    deltas, regions = R.normal(size=(6, 12 if aware else 8)) / 3, boxes_of(6)
    truth = np.column_stack([[0, 1, 2, 1, 2, 0], boxes_of(6)[:, 1:] + 5, [0, 0.5, 0.6, 0.99, 0.7, 0]])
    rig = layer("BboxAccuracy", [deltas, regions, truth], f"{REG} cls_aware: {str(aware).lower()} }}", tops=2)
    after, before = [], []
    for i in (1, 2, 4):
        group = int(truth[i, 0]) if aware else 1
        t = deltas[i, 4 * group : 4 * group + 4] * STDS + MEANS
        after.append(overlap(decode(regions[i, 1:], t), truth[i, 1:5]))
        before.append(overlap(regions[i, 1:], truth[i, 1:5]))
    tops = rig.forward()
    np.testing.assert_allclose([top.item() for top in tops], [np.mean(after), np.mean(before)])
    truth[:, 0] = 0
    assert [top.item() for top in rig.forward([deltas, regions, truth])] == [-1, -1]


# ----------------------------------------------------------------------------------------- BoxGroupOutput

GROUPS = [([20, 30], [30, 20], 8), ([40], [40], 16)]


def group_param(extra=""):
    text = " ".join(
        "box_group_param { "
        + " ".join(f"field_w: {w} field_h: {h}" for w, h in zip(ws, hs, strict=True))
        + f" stride: {stride} }}"
        for ws, hs, stride in GROUPS
    )
    return f"box_group_output_param {{ {text} {extra} }} {REG} }}"


@pytest.mark.parametrize("kind", ["IOU", "IOMU", "IOFU"])
def test_box_group_output(kind):
    bottoms, candidates = [], [[], []]
    bound = np.array([0.5, 0.5, np.log(3), np.log(3)])
    for ws, hs, stride in GROUPS:
        g, (h, w) = len(ws), (4 * 8 // stride, 6 * 8 // stride)
        probabilities, deltas = R.random((2 * g, 3, h, w)), R.normal(size=(2 * g, 4, h, w)) * 3
        bottoms += [probabilities, deltas]
        for n, k, i, j in np.ndindex(2, g, h, w):
            t = (deltas[n * g + k, :, i, j] * STDS + MEANS).clip(-bound, bound)
            size = np.array([ws[k], hs[k]]) * np.exp(t[2:])
            low = t[:2] * [ws[k], hs[k]] + (np.array([j, i]) + 0.5) * stride - size / 2
            box = np.concatenate([np.maximum(low, 0), np.minimum(low + size - 1, [w * stride, h * stride])])
            score = 1 - probabilities[n * g + k, 0, i, j]
            if score >= np.float32(0.3) and (box[2:] - box[:2] + 1 >= 10).all():
                candidates[n].append((*box, score))
    extra = f'fg_thr: 0.3 iou_thr: 0.4 field_whr: 3 min_size: 10 max_nms_num: 30 nms_type: "{kind}"'
    right = []
    for n, own in enumerate(candidates):
        own = np.array(sorted(own, key=lambda row: -row[4])[:30])
        right += [(n, *own[i]) for i in kept(own[:, :4], own[:, 4], 0.4, kind)[:8]]
    regions, scored = layer(
        "BoxGroupOutput", bottoms, group_param(f"{extra} max_post_nms_num: 8"), tops=2
    ).forward()
    assert len(right) > 4
    np.testing.assert_allclose(scored[:, :, 0, 0], right, rtol=1e-6)
    np.testing.assert_allclose(regions[:, :, 0, 0], scored[:, :5, 0, 0])


def test_no_box_at_all():
    bottoms = []
    for ws, _, stride in GROUPS:
        side = 16 // stride
        bottoms += [np.ones((len(ws), 3, side, side)), np.zeros((len(ws), 4, side, side))]
    regions, scored = layer("BoxGroupOutput", bottoms, group_param("fg_thr: 0.5"), tops=2).forward()
    np.testing.assert_array_equal(regions[:, :, 0, 0], [[0, 1, 1, 10, 10]])
    np.testing.assert_array_equal(scored[:, :, 0, 0], np.zeros((1, 6)))


# -------------------------------------------------------------------------------- HardMining, ScaleRoute


def test_hard_mining():
    images = np.array([0, 1, 0, 0, 0, 1, 0, 0])
    scores = np.array([0.5, 0.1, 0.9, 0.5, 0.2, 0.3, 0.8, 0.5])
    regions, more = np.column_stack([images, R.random((8, 4))]), R.random((8, 2, 3))
    text = "hard_mining_param { num_roi_per_image: 3 num_image: 2 }"
    rig = layer("HardMining", [scores, regions, more], text, tops=2)
    rows = [1, 2, 3, 5, 6, 7]  # of image 0 the best three and then one more; of equal scores the last
    own, others = rig.forward()
    np.testing.assert_array_equal(own[:, :, 0, 0], regions[rows])
    np.testing.assert_array_equal(others[..., 0], more[rows])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("low_scale: 20 high_scale: 40", [1, 2]),
        ("high_scale: 20", [0]),
        ("low_scale: 41", [2]),
        ("low_scale: 26 high_scale: 30", [1]),
        ("", [0, 1, 2]),
    ],
)
def test_scale_route(text, rows):
    sides = np.array([10, 20, 39.99])
    regions = np.column_stack([np.zeros((3, 3)), sides - 1, sides - 1])
    rig = layer("ScaleRoute", [regions, sides], f"scale_route_param {{ {text} }}", tops=2)
    own, others = rig.forward()
    np.testing.assert_array_equal(own[:, :, 0, 0], regions[rows])
    np.testing.assert_array_equal(others.ravel(), sides[rows])


# ----------------------------------------------------------------------------------------- ProposalTarget

TRUTH = np.array(
    [
        [0, 10, 10, 39, 49, 1, 0, 0],
        [0, 50, 20, 89, 59, 2, 0, 0],
        [1, 20, 5, 59, 44, 2, 1, 0],
        [-1, 0, 0, 0, 0, 0, 0, 0.0],
    ]
)
REGIONS = np.vstack(
    [
        [[0, *(TRUTH[0, 1:5] + d)] for d in (2, 5, 12, 20)],
        [[0, *(TRUTH[1, 1:5] - d)] for d in (1, 9, 15)],
        [[1, *(TRUTH[2, 1:5] + d)] for d in (3, 20)],
        [[0, 90, 80, 99, 99]],
    ]
)


def proposal_target(text="", tops=7, regions=REGIONS, truth=TRUTH, reg=f"{REG} }}"):
    options = f"cls_num: 3 img_width: 100 img_height: 100 num_img_per_batch: 2 {text}"
    return layer("ProposalTarget", [regions, truth], f"proposal_target_param {{ {options} }} {reg}", tops)


def test_all_regions():
    tops = proposal_target("batch_size: -1 append_gtbox: false pickup_discard: false").forward()
    rois, labels, targets, inside, outside, truth, weights = (top.reshape(len(top), -1) for top in tops)
    best = [
        max((overlap(box[1:], t[1:5]), -g) for g, t in enumerate(TRUTH[:3]) if t[0] == box[0])
        for box in REGIONS
    ]
    objects = [i for i, (o, g) in enumerate(best) if o >= 0.5 and not TRUTH[-g, 6]]
    background = [i for i, (o, _) in enumerate(best) if np.float32(0.1) <= o < 0.5]
    rows = objects + background
    assert len(objects) >= 3
    assert len(background) >= 2
    np.testing.assert_allclose(rois, REGIONS[rows])
    own = [TRUTH[-best[i][1]] for i in objects]
    np.testing.assert_array_equal(labels[:, 0], [t[5] for t in own] + [0] * len(background))
    matched = [(t[5], *t[1:5], best[i][0]) for i, t in zip(objects, own, strict=True)]
    np.testing.assert_allclose(truth[: len(own)], matched)
    assert not truth[len(own) :].any()
    for k, (i, t) in enumerate(zip(objects, own, strict=True)):
        size, c = REGIONS[i, 3:] - REGIONS[i, 1:3] + 1, int(t[5])
        true_size = t[3:5] - t[1:3] + 1
        centre, true_centre = REGIONS[i, 1:3] + size / 2, t[1:3] + true_size / 2
        wanted = np.concatenate([(true_centre - centre) / size, np.log(true_size / size)])
        np.testing.assert_allclose(targets[k, 4 * c : 4 * c + 4], (wanted - MEANS) / STDS)
        np.testing.assert_array_equal(np.flatnonzero(inside[k]), np.arange(4 * c, 4 * c + 4))
    np.testing.assert_array_equal(inside, outside)
    n = len(rows)
    np.testing.assert_allclose(weights[: len(own), 0], 0.25 * n / len(own))
    np.testing.assert_allclose(weights[len(own) :, 0], 0.75 * n / len(background))


def test_sampled_regions():
    tops = proposal_target("batch_size: 8 iou_weighted: true").forward()
    labels, weights = tops[1].ravel(), tops[6].ravel()
    assert len(labels) == 8
    assert (labels > 0).sum() == 2
    np.testing.assert_allclose([weights[labels > 0].sum(), weights[labels == 0].sum()], [2, 6])


def test_offsets_of_one_class_only():
    tops = proposal_target(
        "batch_size: -1 bbox_thr_hg: 0.8", reg="bbox_reg_param { cls_aware: false }"
    ).forward()
    assert tops[2].shape[1] == 8
    inside, overlap_ = tops[3].reshape(-1, 8), tops[5].reshape(-1, 6)[:, 5]
    assert not inside[:, :4].any()
    np.testing.assert_array_equal(inside[:, 4] == 1, (overlap_ > 0) & (overlap_ <= np.float32(0.8)))


def test_a_random_region():
    rig = proposal_target("append_gtbox: false", regions=np.zeros((0, 5)), truth=TRUTH[3:])
    rois, labels = (top.reshape(-1) for top in rig.forward()[:2])
    assert labels == [0]
    assert (rois[3:] - rois[1:3] + 1 >= 32).all()


# -------------------------------------------------------------- DetectionGroupLoss, DetectionGroupAccuracy


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


# ------------------------------------------------------------------------- FrcnnOutput, DetectionEvaluate


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("most", [0, 5])
def test_frcnn_output(aware, most):
    scores, regions = R.random((12, 3)), boxes_of(12)
    deltas = R.normal(size=(12, 12 if aware else 8)) / 3
    text = f"frcnn_output_param {{ conf_thr: 0.2 iou_thr: 0.3 max_det_num: {most} }} "
    rig = layer(
        "FrcnnOutput",
        [scores, deltas, regions, [[80, 90]]],
        text + f"{REG} cls_aware: {str(aware).lower()} }}",
    )
    right = []
    for c in (1, 2):
        own = np.flatnonzero(scores[:, c] >= np.float32(0.2))
        group = c if aware else 1
        boxes = np.array(
            [decode(regions[i, 1:], deltas[i, 4 * group : 4 * group + 4] * STDS + MEANS) for i in own]
        )
        boxes[:, :2], boxes[:, 2:] = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], [90, 80])
        right += [(0, *boxes[k], c, scores[own[k], c]) for k in kept(boxes, scores[own, c], 0.3)]
    if most:
        best = sorted(right, key=lambda row: -row[6])[:most]
        right = sorted(best, key=lambda row: (row[5], -row[6]))
    top = rig.forward()[0]
    np.testing.assert_array_equal(top[0].ravel(), [0, -1, -1, -1, -1, -1, -1])
    np.testing.assert_allclose(top[1:, :, 0, 0], right)


def test_evaluate(tmp_path):
    (tmp_path / "names").write_text("a 100 100\nb 200 100\n")
    found = np.array(
        [
            [0, -1, -1, -1, -1, -1, -1],
            [0, 10, 10, 39, 49, 1, 0.5],
            [0, 11, 10, 39, 49, 1, 0.9],
            [0, 60, 60, 70, 70, 2, 0.8],
        ]
    )
    truth = np.array([[-1, 0, 0, 0, 0, 0, 0, 0], [0, 10, 10, 39, 49, 1, 0, 0], [0, 0, 0, 5, 5, 1, 0, 1.0]])
    options = f'num_classes: 3 evaluate_difficult_gt: false name_size_file: "{tmp_path}/names"'
    text = f"detection_evaluate_param {{ {options} }}"
    rig = layer("DetectionEvaluate", [found, truth, [[50, 50]]], text)
    assert rig.top[0].shape == (2, 5, 1, 1)
    right = [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.9, 1, 0], [0, 1, 0.5, 0, 1], [0, 2, 0.8, 0, 1]]
    np.testing.assert_allclose(rig.forward()[0][:, :, 0, 0], right)
    rig.forward()
    assert rig.layer.seen == 2
    assert rig.layer.sizes == [(100, 100), (200, 100)]


@pytest.mark.parametrize(
    ("name", "shapes", "text", "message"),
    [
        (
            "DecodeBBox", [(3, 8), (3, 4)], "",
            "needs 3 rows of 5 numbers, as its first bottom has, got shape (3, 4)",
        ),
        (
            "DecodeBBox", [(3, 8), (3, 5)], "bbox_reg_param { bbox_mean: 1 bbox_std: 1 }",
            "needs four numbers bbox_mean and four bbox_std above 0, got [1.0] and [1.0]",
        ),
        (
            "DecodeBBox", [(3, 8), (3, 5), (3, 6)], "",
            "takes ground truth, its third bottom, in training only",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)], "",
            "needs two bottoms for each box_group_param, 0, got 2",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)],
            'box_group_output_param { nms_type: "GIOU" box_group_param { field_w: 1 field_h: 1 stride: 1 } }',
            "unknown nms_type 'GIOU' (known: IOU, IOMU, IOFU)",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)],
            "box_group_output_param { box_group_param { field_w: 1 stride: 1 } }",
            "needs as many field_w as field_h, and a stride, all of 1 or more, got [1], [] and 1",
        ),
        ("HardMining", [(3,), (3, 5), (3,)], "", "takes a bottom more than tops, got 3 and 1"),
        (
            "ScaleRoute", [(3, 5)], "scale_route_param { low_scale: 3 high_scale: 2 }",
            "needs 0 < low_scale <= high_scale, got 3 and 2",
        ),
        (
            "DetectionGroupLoss", [(2, 3, 2, 2), (2, 4, 2, 2), (2, 5, 2, 2)],
            f"detection_group_loss_param {{ {FIELDS} }}",
            "needs a bottom of shape (2, 6, 2, 2), got (2, 5, 2, 2)",
        ),
        (
            "DetectionGroupLoss", [(2, 3, 2, 2), (2, 4, 2, 2), (2, 6, 2, 2)],
            f'detection_group_loss_param {{ {FIELDS} neg_mining_type: "hard" }}',
            "unknown neg_mining_type 'hard' (known: random, bootstrap, mixture)",
        ),
        (
            "ProposalTarget", [(3, 5), (2, 8)], "proposal_target_param { cls_num: 2 batch_size: 0 }",
            "needs batch_size of 1 or more, or -1, got 0",
        ),
        (
            "DetectionEvaluate", [(3, 7), (2, 8), (1, 2)], "detection_evaluate_param { num_classes: 2 }",
            "needs a name_size_file with lines NAME HEIGHT WIDTH",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(name, shapes, text, message):
    with pytest.raises(LayerError) as error:
        layer(name, [np.zeros(shape) for shape in shapes], text, tops=6 if name == "ProposalTarget" else None)
    assert str(error.value) == f"layer 'layer' ({name}): {message}"

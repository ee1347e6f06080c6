import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(4)
N, P, C = 2, 9, 4
# A grid of boxes of 0.4 x 0.4, whose overlaps with the ground truth are all different.
PRIORS = np.array([[x, y, x + 0.4, y + 0.4] for y in (0.03, 0.31, 0.57) for x in (0.02, 0.29, 0.58)])
VARIANCES = np.tile(np.array([0.1, 0.1, 0.2, 0.2], np.float32).astype(float), (P, 1))
PRIOR_BLOB = np.stack([PRIORS.ravel(), VARIANCES.ravel()])[None]
TRUTH = np.array(
    [
        [0, 1, 0, 0.05, 0.06, 0.41, 0.44, 0],
        [-1, -1, -1, -1, -1, -1, -1, -1],
        [0, 3, 0, 0.5, 0.48, 0.93, 0.99, 0],
        [1, 2, 0, 0.33, 0.28, 0.66, 0.74, 1],
        [1, 1, 0, 0.01, 0.5, 0.3, 0.9, 0],
    ]
).reshape(1, 1, -1, 8)
LOC, CONF = R.normal(size=(N, P * 4)) * 2, R.normal(size=(N, P * C)) * 2
EACH = R.normal(size=(N, P * C * 4)) * 2
ARM_CONF, ARM_LOC = R.uniform(0, 0.03, size=(N, P * 2)), R.normal(size=(N, P * 4)) * 0.2
BOTTOMS = [LOC, CONF, PRIOR_BLOB, TRUTH]


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - common)


def sides(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]


def encoded(prior, variance, box, code, in_target):
    (px, py, pw, ph), (x, y, w, h) = sides(prior), sides(box)
    if code == "CENTER_SIZE":
        t = [(x - px) / pw, (y - py) / ph, math.log(w / pw), math.log(h / ph)]
    else:
        t = [(box[k] - prior[k]) / ((pw, ph)[k % 2] if code == "CORNER_SIZE" else 1) for k in range(4)]
    return np.array(t) / (1 if in_target else variance)


def decode(prior, variance, t):
    x, y, w, h = sides(prior)
    x, y = x + variance[0] * t[0] * w, y + variance[1] * t[1] * h
    w, h = w * math.exp(variance[2] * t[2]), h * math.exp(variance[3] * t[3])
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def match(own, boxes, threshold, each, inside):
    """Of each prior the box that it has been given, and its overlap."""
    index, best = [-1] * P, [0.0] * P
    overlaps = np.array([[overlap(a, b) for b in boxes] for a in own]).reshape(P, len(boxes))
    for p in range(P):
        if inside and (own[p].min() < 0 or own[p].max() > 1):
            index[p], overlaps[p] = -2, 0
        elif len(boxes):
            best[p] = overlaps[p].max()
    left = list(range(len(boxes)))
    while left:
        pairs = [(overlaps[p, g], p, g) for p in range(P) for g in left if index[p] == -1]
        value, p, g = max(pairs, default=(0, 0, 0))
        if value <= 1e-6:
            break
        index[p], best[p] = g, value
        left.remove(g)
    for p in range(P):
        if each and index[p] == -1 and len(boxes) and overlaps[p].max() >= threshold:
            index[p], best[p] = int(overlaps[p].argmax()), overlaps[p].max()
    return index, best


def conf_loss(x, label, logistic):
    if logistic:
        return sum(
            math.log1p(math.exp(-v)) if c == label else math.log1p(math.exp(v)) for c, v in enumerate(x)
        )
    return math.log(sum(math.exp(v) for v in x)) - x[label]


def loc_loss(d, l2):
    return sum(v * v / 2 if l2 or abs(v) < 1 else abs(v) - 0.5 for v in d)


def reference(
    loc, conf, prior, truth, arm_conf=None, arm_loc=None, *, code="CENTER_SIZE", in_target=False, l2=False,
    logistic=False, loc_weight=1.0, threshold=0.5, each=True, inside=False, difficult=True,
    mining="MAX_NEGATIVE", ratio=3.0, neg_overlap=0.5, sample=64, bp_inside=False, divisor=None, shared=True,
    parts=(True, True), by_prediction=False,
):  # fmt: skip
    """The loss, by the definition."""
    classes = 1 if shared else C
    located, classified, matches = 0.0, 0.0, 0
    for n in range(N):
        own = prior[0, 0].reshape(P, 4)
        if arm_loc is not None:
            own = np.array([decode(own[p], VARIANCES[p], arm_loc[n, 4 * p : 4 * p + 4]) for p in range(P)])
        rows = [row for row in truth[0, 0] if row[0] == n and (difficult or not row[7])]
        boxes, labels = [row[3:7] for row in rows], [int(row[1]) for row in rows]
        t, x = loc[n].reshape(P, classes, 4), conf[n].reshape(P, C)
        found = [decode(own[p], VARIANCES[p], t[p, 0]) for p in range(P)] if by_prediction else own
        index, best = match(found, boxes, threshold, each, inside)
        errors = {}
        for p in range(P):
            if index[p] >= 0:
                d = t[p, labels[index[p]] if not shared else 0] - encoded(
                    own[p], VARIANCES[p], boxes[index[p]], code, in_target
                )
                d = d / VARIANCES[p] if in_target else d
                errors[p] = np.where((own[p] < 0) | (own[p] > 1), 0, d) if bp_inside else d
        of_label = [conf_loss(x[p], labels[index[p]] if index[p] >= 0 else 0, logistic) for p in range(P)]
        chosen = range(P)
        if mining != "NONE":
            candidates = [p for p in range(P) if arm_conf is None or arm_conf[n, 2 * p + 1] >= 0.01]
            losses, most = list(of_label), sample
            if mining == "HARD_EXAMPLE":
                for p, d in errors.items():
                    losses[p] += loc_loss(d, l2)
            else:
                candidates = [p for p in candidates if index[p] == -1 and best[p] < neg_overlap]
                most = int(len(errors) * ratio)
            chosen = sorted(candidates, key=lambda p: -losses[p])[:most] if rows else []
            if mining == "HARD_EXAMPLE":
                errors = {p: d for p, d in errors.items() if p in chosen}
            chosen = [p for p in chosen if p not in errors and index[p] == -1] + list(errors)
        located += sum(loc_loss(d, l2) for d in errors.values())
        classified += sum(of_label[p] for p in chosen)
        matches += len(errors)
    total = (loc_weight * located if parts[0] else 0) + (classified if parts[1] else 0)
    return [total / (divisor or max(matches, 1))]


def text(options="", more="", code="CENTER_SIZE"):
    return (
        f'type: "MultiBoxLoss" multibox_loss_param {{ num_classes: {C} code_type: {code} {options} }} {more}'
    )


@pytest.mark.parametrize(
    ("options", "more", "numbers"),
    [
        ("", "", {}),
        ("loc_loss_type: L2 loc_weight: 3", "", {"l2": True, "loc_weight": 3}),
        ("conf_loss_type: LOGISTIC", "", {"logistic": True}),
        ("overlap_threshold: 0.2", "", {"threshold": np.float32(0.2)}),
        ("match_type: BIPARTITE", "", {"each": False}),
        ("neg_pos_ratio: 0.5 neg_overlap: 0.1", "", {"ratio": 0.5, "neg_overlap": np.float32(0.1)}),
        ("use_difficult_gt: false", "", {"difficult": False}),
        ("mining_type: NONE", "", {"mining": "NONE"}),
        ("mining_type: HARD_EXAMPLE sample_size: 4", "", {"mining": "HARD_EXAMPLE", "sample": 4}),
        (
            "mining_type: HARD_EXAMPLE overlap_threshold: 0.2",
            "",
            {"mining": "HARD_EXAMPLE", "threshold": np.float32(0.2)},
        ),
        ("", "loss_param { normalization: FULL }", {"divisor": N * P}),
        ("", "loss_param { normalization: BATCH_SIZE }", {"divisor": N}),
        ("", "loss_param { normalization: NONE }", {"divisor": 1}),
        ("", "loss_param { normalize: false }", {"divisor": N}),
        ("share_location: false mining_type: NONE", "", {"shared": False, "mining": "NONE"}),
        (
            "use_prior_for_matching: false overlap_threshold: 0.25",
            "",
            {"by_prediction": True, "threshold": 0.25},
        ),
    ],
)
def test_offsets_and_classes(options, more, numbers):
    bottoms = [EACH if numbers.get("shared") is False else LOC, *BOTTOMS[1:]]
    check_layer(
        text(options, more),
        bottoms,
        lambda bottoms, _: reference(*bottoms, **numbers),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("code", ["CORNER", "CORNER_SIZE"])
def test_other_codes(code):
    check_layer(
        text(code=code),
        BOTTOMS,
        lambda bottoms, _: reference(*bottoms, code=code),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("code", ["CORNER", "CORNER_SIZE", "CENTER_SIZE"])
def test_variances_that_are_in_the_offsets(code):
    """The offsets' errors are divided by them; the gradient, as in the fork, is not."""
    options = "encode_variance_in_target: true"
    check_layer(
        text(options, code=code),
        BOTTOMS,
        lambda bottoms, _: reference(*bottoms, code=code, in_target=True),
        gradients=[1],
        resized=(),
        threshold=1e-5,
    )
    rig = build_layer(text(options, code=code), BOTTOMS, dtype=np.float64)
    rig.forward()
    (dloc, *_), _ = rig.backward([np.array(1.0)])
    for place in np.ndindex(LOC.shape):
        step = np.zeros(LOC.shape)
        step[place] = 1e-6
        high, low = (reference(LOC + s, *BOTTOMS[1:], code=code, in_target=True)[0] for s in (step, -step))
        slope = (high - low) / 2e-6
        assert dloc[place] == pytest.approx(slope * VARIANCES[0, place[1] % 4], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [("ignore_cross_boundary_bbox: true", {"inside": True}), ("bp_inside: true", {"bp_inside": True})],
)
def test_priors_that_reach_outside(options, numbers):
    prior = PRIOR_BLOB.copy()
    prior[0, 0] -= 0.06
    check_layer(
        text(options),
        [LOC, CONF, prior, TRUTH],
        lambda bottoms, _: reference(*bottoms, **numbers),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("count", [5, 6])
def test_refinedets_bottoms(count):
    check_layer(
        text("objectness_score: 0.01"),
        [*BOTTOMS, ARM_CONF, ARM_LOC][:count],
        lambda bottoms, _: reference(*bottoms),
        gradients=[0, 1],
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("parts", [(True, False), (False, True)])
def test_a_part_that_gets_no_gradient_is_not_in_the_loss(parts):
    words = " ".join(f"propagate_down: {str(part).lower()}" for part in (*parts, False, False))
    rig = build_layer(text(more=words), BOTTOMS)
    np.testing.assert_allclose(rig.forward()[0], reference(*BOTTOMS, parts=parts)[0], rtol=1e-5)


def test_with_two_classes_all_objects_are_of_one():
    rig = build_layer(
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 }', [LOC, CONF[:, : 2 * P], *BOTTOMS[2:]]
    )
    one = TRUTH.copy()
    one[0, 0, :, 1] = np.minimum(one[0, 0, :, 1], 1)
    loss = rig.forward()[0]
    assert rig.forward([LOC, CONF[:, : 2 * P], PRIOR_BLOB, one])[0] == loss
    agnostic = 'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 map_object_to_agnostic: true }'
    assert build_layer(agnostic, [LOC, CONF[:, : 2 * P], *BOTTOMS[2:]]).forward()[0] == loss


def test_the_number_of_negatives_is_a_float32_product():
    """10 matches times 2.3 are 23 in float32, and 22.999999 otherwise."""
    count = 60
    prior = np.tile([0.1, 0.1, 0.3, 0.3], (count, 1))
    prior[10:] += 0.5
    blob = np.stack([prior.ravel(), np.full(4 * count, 0.1)])[None]
    truth = np.array([[0, 1, 0, 0.1, 0.1, 0.3, 0.3, 0]]).reshape(1, 1, 1, 8)
    rig = build_layer(
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 neg_pos_ratio: 2.3 }',
        [np.zeros((1, 4 * count)), np.zeros((1, 2 * count)), blob, truth],
    )
    np.testing.assert_allclose(rig.forward()[0], (10 + 23) * math.log(2) / 10, rtol=1e-6)


@pytest.mark.parametrize(
    "truth", [np.full((1, 1, 1, 8), -1.0), np.zeros((1, 1, 0, 8)), np.array([[[[0, 1, 0, 5, 5, 6, 6, 0]]]])]
)
def test_nothing_to_find(truth):
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, truth])
    assert rig.forward()[0] == 0
    diffs, _ = rig.backward([np.array(1.0)])
    assert not any(diff.any() for diff in diffs)


def test_ground_truth_of_no_area_is_not_matched():
    flat = TRUTH.copy()
    flat[0, 0, 0, 5:7] = flat[0, 0, 0, 3:5]
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, flat])
    without = TRUTH.copy()
    without[0, 0, 0] = -1
    assert rig.forward()[0] == rig.forward([LOC, CONF, PRIOR_BLOB, without])[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "options", ["", "conf_loss_type: LOGISTIC", "mining_type: HARD_EXAMPLE", "mining_type: NONE"]
)
def test_scores_that_are_not_finite_raise_no_warning(options, value):
    conf = np.full(CONF.shape, value)
    assert not np.isfinite(build_layer(text(options), [LOC, conf, *BOTTOMS[2:]]).forward()[0])


def test_large_scores():
    conf = np.full(CONF.shape, -1000.0)
    assert np.isfinite(build_layer(text("conf_loss_type: LOGISTIC"), [LOC, conf, *BOTTOMS[2:]]).forward()[0])


def test_one_image_after_two():
    rig = build_layer(text(), BOTTOMS)
    rig.forward()
    first = TRUTH[:, :, :3]
    one = [LOC[:1], CONF[:1], PRIOR_BLOB, first]
    assert rig.forward(one)[0] == build_layer(text(), one).forward()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("num_classes: 0", "needs multibox_loss_param { num_classes: ... } of 1 or more"),
        (
            "num_classes: 4 do_neg_mining: false",
            "do_neg_mining contradicts mining_type: leave it out, it is the old name",
        ),
        ("num_classes: 4 share_location: false", "needs share_location for mining"),
        ("num_classes: 4 neg_pos_ratio: 0", "needs neg_pos_ratio above 0, got 0"),
        (
            "num_classes: 4 map_object_to_agnostic: true",
            "needs num_classes 2 and background_label_id 0 for map_object_to_agnostic, got 4 and 0",
        ),
        ("num_classes: 4 background_label_id: 4", "needs background_label_id from 0 to 3, got 4"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "MultiBoxLoss" multibox_loss_param {{ {options} }}', BOTTOMS)
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


@pytest.mark.parametrize(
    ("index", "shape", "message"),
    [
        (3, (1, 1, 2, 7), "needs ground truth of 8 numbers a row, got shape (1, 1, 2, 7)"),
        (0, (2, 8), "needs 4 offsets for each of 9 prior boxes, 36 values per image, got shape (2, 8)"),
        (4, (2, 9), "needs 2 values for each of 9 prior boxes, got shape (2, 9)"),
        (5, (2, 9), "needs 4 values for each of 9 prior boxes, got shape (2, 9)"),
    ],
)
def test_shapes_that_do_not_fit(index, shape, message):
    bottoms = [*BOTTOMS, ARM_CONF, ARM_LOC]
    bottoms[index] = np.zeros(shape)
    with pytest.raises(LayerError) as error:
        build_layer(text(), bottoms)
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 2, "needs ground truth of images 0 to 1, got image 2"),
        (0, -2, "needs ground truth of images 0 to 1, got image -2"),
        (1, 0, "ground truth has class 0, which is the background's"),
        (1, 4, "ground truth has class 4, classes are 0 to 3"),
        (1, -1, "ground truth has class -1, classes are 0 to 3"),
    ],
)
def test_ground_truth_that_makes_no_sense(column, value, message):
    truth = TRUTH.copy()
    truth[0, 0, 0, column] = value
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, truth])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


def test_variances_of_0():
    prior = PRIOR_BLOB.copy()
    prior[0, 1] = 0
    rig = build_layer(text(), [LOC, CONF, prior, TRUTH])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (MultiBoxLoss): cannot encode ground truth: it, and prior boxes, need positive "
        "widths, heights and variances"
    )


def test_priors_and_ground_truth_have_no_gradient():
    rig = build_layer(text(), BOTTOMS)
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[0, 3])
    assert str(error.value) == (
        "layer 'layer' (MultiBoxLoss): has no gradient to propagate down to prior boxes or ground truth"
    )

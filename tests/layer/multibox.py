"""Priors, ground truth and predictions for MultiBoxLoss, and its loss by the definition."""

import math

import numpy as np

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
    of_class=conf_loss, mining="MAX_NEGATIVE", ratio=3.0, neg_overlap=0.5, sample=64, bp_inside=False,
    divisor=None, shared=True, parts=(True, True), by_prediction=False,
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
        of_label = [of_class(x[p], labels[index[p]] if index[p] >= 0 else 0, logistic) for p in range(P)]
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

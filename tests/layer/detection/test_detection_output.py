import math

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
N, P, C = 2, 12, 3
PRIORS = np.concatenate([R.uniform(0, 0.6, (P, 2)), np.zeros((P, 2))], axis=1)
PRIORS[:, 2:] = PRIORS[:, :2] + R.uniform(0.2, 0.4, (P, 2))
PRIOR_BLOB = np.stack([PRIORS.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], P)])[None]
SCORES = R.permutation(N * P * C).reshape(N, P * C) / (N * P * C)
OFFSETS = R.normal(size=(N, P * 4))
EACH = R.normal(size=(N, P * C * 4))


def decoded(prior, t, variance=(0.1, 0.1, 0.2, 0.2)):
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    x = (prior[0] + prior[2]) / 2 + variance[0] * t[0] * w
    y = (prior[1] + prior[3]) / 2 + variance[1] * t[1] * h
    w, h = w * math.exp(variance[2] * t[2]), h * math.exp(variance[3] * t[3])
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def overlap(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - common)


def detections(
    offsets, scores, least=-1, top_k=P, threshold=0.3, keep=-1, background=0, classes=1, priors=None
):
    """All rows, by the definition."""
    rows = []
    for n in range(N):
        found = []
        own = PRIORS if priors is None else priors[n]
        offset, score = offsets[n].reshape(P, classes, 4), scores[n].reshape(P, C)
        for c in range(C):
            kept = []
            order = sorted((p for p in range(P) if score[p, c] > least), key=lambda p: -score[p, c])
            for p in order[:top_k] if c != background else []:
                box = decoded(own[p], offset[p, c if classes > 1 else 0])
                if all(overlap(box, other) <= threshold for other in kept):
                    kept.append(box)
                    found.append([n, c, score[p, c], *box])
        if -1 < keep < len(found):
            found = sorted(found, key=lambda row: -row[2])[:keep]
            found.sort(key=lambda row: row[1])
        rows += found
    if not rows:
        rows = [[n, *[-1] * 6] for n in range(N)]
    return np.reshape(rows, (1, 1, len(rows), 7))


def layer(options, bottoms, num_classes=C):
    return build_layer(
        'type: "DetectionOutput" detection_output_param { code_type: CENTER_SIZE '
        f"num_classes: {num_classes} {options} }}",
        bottoms,
    )


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ("", {}),
        ("confidence_threshold: 0.5", {"least": 0.5}),
        ("nms_param { nms_threshold: 0.1 top_k: 5 }", {"threshold": np.float32(0.1), "top_k": 5}),
        ("nms_param { top_k: 0 }", {"top_k": 0}),
        ("keep_top_k: 4", {"keep": 4}),
        ("keep_top_k: 0", {"keep": 0}),
        ("keep_top_k: 100", {}),
        ("background_label_id: 2", {"background": 2}),
        ("background_label_id: -1", {"background": -1}),
        ("confidence_threshold: 2", {"least": 2}),
    ],
)
@pytest.mark.parametrize("shared", [True, False])
def test_decoded_suppressed_and_cut(options, more, shared):
    offsets = OFFSETS if shared else EACH
    options += "" if shared else " share_location: false"
    rig = layer(options, [offsets, SCORES, PRIOR_BLOB])
    assert rig.top[0].shape == (1, 1, 1, 7)
    right = detections(offsets, SCORES, classes=1 if shared else C, **more)
    got = rig.forward()[0]
    assert got.shape == right.shape
    np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pixels", [False, True])
def test_prior_boxes_of_openvino(pixels):
    """They have no variances, or stand in rows of 5, in pixels of a picture whose size is given."""
    encoded = "variance_encoded_in_target: true"
    plain = PRIOR_BLOB[:, :1]
    if pixels:
        size = "normalized: false input_width: 200 input_height: 50"
        rows = np.insert(PRIORS * [200, 50, 200, 50], 0, 0, axis=1).reshape(1, 1, -1)
        rig = layer(f"{encoded} {size}", [OFFSETS, SCORES, rows])
    else:
        rig = layer(encoded, [OFFSETS, SCORES, plain])
    (right,) = layer(encoded, [OFFSETS, SCORES, PRIOR_BLOB]).forward()
    np.testing.assert_allclose(rig.forward()[0], right, rtol=1e-4, atol=1e-5)
    with pytest.raises(LayerError, match="layer 'layer'"):
        layer("", [OFFSETS, SCORES, plain])


def test_refinedets_bottoms():
    """Priors that are no objects have only the background's score; the others are moved first."""
    arm_scores, arm_offsets = R.uniform(0, 0.02, size=(N, P * 2)), R.normal(size=(N, P * 4))
    rig = layer("", [OFFSETS, SCORES, PRIOR_BLOB, arm_scores, arm_offsets])
    scores = SCORES.reshape(N, P, C).copy()
    moved = np.empty((N, P, 4))
    for n, p in np.ndindex(N, P):
        if arm_scores[n, 2 * p + 1] < 0.01:
            scores[n, p] = [1, 0, 0]
        moved[n, p] = decoded(PRIORS[p], arm_offsets[n, 4 * p : 4 * p + 4])
    got, right = rig.forward()[0], detections(OFFSETS, scores, priors=moved)
    scored = [rows[..., rows[0, 0, :, 2] > 0, :] for rows in (got, right)]  # of 0, which came first is a tie
    np.testing.assert_allclose(*scored, rtol=1e-4, atol=1e-5)


def test_of_equal_scores_the_earlier_prior_stays():
    scores = np.full((1, P * C), 0.5)
    same = np.stack([np.tile(PRIORS[0], P), np.full(4 * P, 0.1)])[None]
    offsets = np.zeros((1, P * 4))
    offsets[0, 2] = 0.01  # tells the first one
    got = layer("nms_param { nms_threshold: 0.9 }", [offsets, scores, same]).forward()[0][0, 0]
    assert got.shape == (2, 7)
    assert (got[:, 5] - got[:, 3] > PRIORS[0, 2] - PRIORS[0, 0]).all()


def test_scores_and_boxes_that_are_no_numbers():
    scores, offsets = SCORES.copy(), OFFSETS.copy()
    scores[0, :] = np.nan
    offsets[1, 4:8] = np.inf
    got = layer("", [offsets, scores, PRIOR_BLOB]).forward()[0][0, 0]
    assert (got[:, 0] == 1).all()


def test_no_images_and_no_priors():
    rig = layer("", [OFFSETS[:0], SCORES[:0], PRIOR_BLOB])
    assert rig.forward()[0].shape == (1, 1, 0, 7)
    rig = layer("", [np.zeros((2, 0)), np.zeros((2, 0)), np.zeros((1, 2, 0))])
    np.testing.assert_array_equal(rig.forward()[0][0, 0, :, 0], [0, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("num_classes: 0", "needs detection_output_param { num_classes: ... } of 1 or more"),
        ("num_classes: 3 visualize: true", "visualize is not supported: read the detections from the top"),
        ("num_classes: 3 nms_param { nms_threshold: -1 }", "needs nms_threshold of 0 or more, got -1"),
        ("num_classes: 3 nms_param { eta: 0 }", "needs eta above 0 and up to 1, got 0"),
        ("num_classes: 3 nms_param { eta: 1.5 }", "needs eta above 0 and up to 1, got 1.5"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'type: "DetectionOutput" detection_output_param {{ {options} }}', [OFFSETS, SCORES, PRIOR_BLOB]
        )
    assert str(error.value) == f"layer 'layer' (DetectionOutput): {message}"


def test_it_has_no_gradient():
    rig = layer("", [OFFSETS, SCORES, PRIOR_BLOB])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([0], wanted=[0])
    assert str(error.value) == "layer 'layer' (DetectionOutput): has no gradient"

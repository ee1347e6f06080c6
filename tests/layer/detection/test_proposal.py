import numpy as np
import pytest
from layer_check import F64, TEST, build_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
H, W = 4, 5
INFO = [[64, 80, 1.0, 1.5]]
RATIOS, SCALES = (0.5, 2), (1, 3)


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.maximum(high - low + 1, 0).prod()
    return common / ((a[2:] - a[:2] + 1).prod() + (b[2:] - b[:2] + 1).prod() - common)


def candidates(anchors, deltas, stride, height, width):
    """The boxes of all anchors: (H, W, A, 4)."""
    boxes = np.empty((*deltas.shape[1:], len(anchors), 4))
    for h, w, a in np.ndindex(boxes.shape[:3]):
        anchor = anchors[a] + np.array([w, h, w, h]) * stride
        size, d = anchor[2:] - anchor[:2] + 1, deltas[4 * a : 4 * a + 4, h, w]
        centre, new = anchor[:2] + size / 2 + d[:2] * size, np.exp(d[2:]) * size
        corners = np.concatenate([centre - new / 2, centre + new / 2])
        boxes[h, w, a] = corners.clip(0, [width - 1, height - 1] * 2)
    return boxes


def kept(boxes, order, threshold, most):
    rows = []
    for i in order:
        if all(overlap(boxes[i], boxes[k]) <= threshold for k in rows):
            rows.append(i)
    return rows[:most]


def test_best_boxes_of_each_picture():
    scores, deltas = R.random((2, 8, H, W)), R.normal(size=(2, 16, H, W)) / 4
    text = "ratio: 0.5 ratio: 2 scale: 1 scale: 3 min_size: 14 pre_nms_topn: 30 post_nms_topn: 12"
    rig = build_layer(
        f'type: "Proposal" proposal_param {{ {text} nms_thresh: 0.4 }}',
        [scores, deltas, INFO],
        phase=TEST,
        dtype=F64,
        tops=2,
    )
    assert [blob.shape for blob in rig.top] == [(24, 5), (24,)]
    anchors = []
    for ratio in RATIOS:
        w = np.floor(np.sqrt(256 / ratio) + 0.5)
        for scale in SCALES:
            reach = (np.array([w, np.floor(w * ratio + 0.5)]) * scale - 1) / 2
            anchors.append(np.concatenate([7.5 - reach, 7.5 + reach]))
    regions, own = [], []
    for n in range(2):
        boxes = candidates(anchors, deltas[n], 16, 64, 80).reshape(-1, 4)
        small = (boxes[:, 2] - boxes[:, 0] + 1 < 14 * 1.5) | (boxes[:, 3] - boxes[:, 1] + 1 < 14)
        s = np.where(small, 0, scores[n, 4:].transpose(1, 2, 0).ravel())
        assert (s == 0).sum() < len(s) - 30
        rows = kept(boxes, np.argsort(-s)[:30], np.float32(0.4), 12)
        regions += [(n, *boxes[i]) for i in rows]
        own += [s[i] for i in rows]
    found, found_scores = rig.forward()
    np.testing.assert_allclose(found, regions, rtol=1e-9)
    np.testing.assert_allclose(found_scores, own)


def test_scales_that_are_sides():
    scores = np.zeros((1, 4, 1, 1))
    text = "ratio: 1 scale: 32 scale: 49 nms_thresh: 0.9"
    rig = build_layer(
        f'type: "Proposal" proposal_param {{ {text} }}',
        [scores, np.zeros((1, 8, 1, 1)), [[900, 900, 1]]],
        phase=TEST,
    )
    rig.layer.anchors += 100
    first, second = rig.forward()[0][:, 3] - rig.forward()[0][:, 1]
    assert {first, second} == {32, 49}


@pytest.mark.parametrize(("scales", "ratios"), [(3, 3), (1, 3), (3, 1)])
def test_synopsys_form(scales, ratios):
    A = scales * ratios
    scores, deltas = R.random((1, 2 * A, H, W)), R.normal(size=(1, 4 * A, H, W)) / 4
    text = (
        f"anchor_scale: {scales} anchor_ratio: {ratios} anchor_base_size: 4 max_rois: 9 rpn_nms_thresh: 0.5"
    )
    rig = build_layer(
        f'type: "Proposal" proposal_param {{ {text} }}', [scores, deltas, [[64.9, 80, 1]]], phase=TEST,
        dtype=F64, tops=2,
    )  # fmt: skip
    assert [blob.shape for blob in rig.top] == [(1, 1, 1, 5), (1, 1, 1, 1)]
    anchors = []
    for ratio in (0.5, 1, 2) if ratios == 3 else (1,):
        w = np.round(np.sqrt(16 / ratio))
        for scale in (8, 16, 32) if scales == 3 else (32,):
            reach = (np.array([w, np.round(w * ratio)]) * scale - 1) / 2
            anchors.append(np.concatenate([1.5 - reach, 1.5 + reach]))
    boxes = candidates(anchors, deltas[0], 16, 64, 80).transpose(2, 0, 1, 3).reshape(-1, 4)
    s = scores[0, A:].ravel()
    large = (boxes[:, 2:] - boxes[:, :2] + 1 >= 16).all(axis=1)
    large[-1] = True
    order = [i for i in np.argsort(-s) if large[i]]
    rows = kept(boxes, order, 0.5, 9)
    regions, own = rig.forward()
    np.testing.assert_allclose(regions, [(0, *boxes[i]) for i in rows], rtol=1e-9)
    np.testing.assert_allclose(own, s[rows][:, None])


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("base_size: 0", [(1, 18, 2, 2), (1, 36, 2, 2), (1, 3)], "needs base_size of 1 or more, got 0"),
        ("max_rois: 0", [(1, 18, 2, 2), (1, 36, 2, 2), (1, 3)], "needs max_rois of 1 or more, got 0"),
        ("scale: 0", [(1, 18, 2, 2), (1, 36, 2, 2), (1, 3)], "needs ratios and scales above 0"),
        (
            "",
            [(1, 9, 2, 2), (1, 36, 2, 2), (1, 3)],
            "needs scores of shape (N, 18, H, W), for 9 anchors, got (1, 9, 2, 2)",
        ),
        (
            "",
            [(1, 18, 2, 2), (1, 36, 2, 3), (1, 3)],
            "needs offsets of shape (1, 36, 2, 2), got (1, 36, 2, 3)",
        ),
        (
            "",
            [(1, 18, 2, 2), (1, 36, 2, 2), (1, 2)],
            "needs the picture's height, width and scale in the third bottom, got shape (1, 2)",
        ),
        (
            "max_rois: 3",
            [(2, 18, 2, 2), (2, 36, 2, 2), (1, 3)],
            "works on one picture at a time, got scores of shape (2, 18, 2, 2)",
        ),
    ],
)
def test_errors(text, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Proposal" proposal_param {{ {text} }}', [np.zeros(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (Proposal): {message}"

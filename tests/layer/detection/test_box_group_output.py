import numpy as np
import pytest
from cascade import MEANS, REG, STDS, R, kept, layer

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

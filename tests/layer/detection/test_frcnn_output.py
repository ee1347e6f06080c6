import numpy as np
import pytest
from cascade import MEANS, REG, STDS, R, boxes_of, decode, kept, layer


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

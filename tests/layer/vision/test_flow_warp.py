import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 4, 5))
FLOW = R.normal(size=(2, 2, 4, 5)) * 1.5


def warped(x, flow, outside=0.0):
    y = np.full(x.shape, outside)
    N, _, H, W = x.shape
    for n, h, w in np.ndindex(N, H, W):
        at_w, at_h = w + flow[n, 0, h, w], h + flow[n, 1, h, w]
        if not (0 <= at_w < W and 0 <= at_h < H):
            continue
        total = 0.0
        for i, k in np.ndindex(2, 2):
            row, column = int(at_h) + i, int(at_w) + k
            weight = (1 - abs(at_h - row)) * (1 - abs(at_w - column))
            total = total + weight * x[n, :, min(row, H - 1), min(column, W - 1)]
        y[n, :, h, w] = total
    return y


def test_read_where_the_flow_points():
    check_layer('type: "FlowWarp"', [X, FLOW], lambda bottoms, _: [warped(*bottoms)], threshold=1e-5)


def test_what_comes_from_outside():
    flow = np.zeros((1, 2, 2, 2))
    flow[0, 0, 0, 0], flow[0, 1, 1, 1] = -1, math.nan
    text = 'type: "FlowWarp" flow_warp_param { fill_value: NOT_A_NUMBER }'
    rig = build_layer(text, [np.ones((1, 1, 2, 2)), flow])
    (y,) = rig.forward()
    np.testing.assert_array_equal(y[0, 0], [[math.nan, 1], [1, math.nan]])
    (dx, dflow), _ = rig.backward([np.ones((1, 1, 2, 2))])
    np.testing.assert_array_equal(dx[0, 0], [[0, 1], [1, 0]])
    assert not dflow.any()


def test_errors():
    with pytest.raises(LayerError, match=r"needs a picture, .* and its flow"):
        build_layer('type: "FlowWarp"', [X, FLOW[:, :1]])

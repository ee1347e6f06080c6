import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 6, 5))


def triangle(d):
    return max(0.0, 1 - abs(d))


def cubic(d):
    d = abs(d)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def rounded(v):
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def place(i, by, other):
    """In float32, as in the fork."""
    return float(np.float32(i) * by + other / np.float32(2) - np.float32(0.5))


def resampled(x, size, coefficient, width, antialias=True):
    """By the definition; the height's half step is the width's, and the other way round, as in the fork."""
    (H, W), (P, Q) = x.shape[2:], size
    by_h, by_w = np.float32(H) / np.float32(P), np.float32(W) / np.float32(Q)
    smooth = antialias and max(by_h, by_w) > 1
    s_h, s_w = (float(by_h), float(by_w)) if smooth else (1, 1)
    reach_h = 2 if by_h < 1 else math.ceil(width * s_h)
    reach_w = 2 if by_w < 1 else math.ceil(width * s_w)
    y = np.zeros((*x.shape[:2], P, Q))
    for p, q in np.ndindex(P, Q):
        h, w = place(p, by_h, by_w), place(q, by_w, by_h)
        total, weights = 0.0, 0.0
        for i in range(rounded(h) - reach_h, rounded(h) + reach_h + 1):
            for k in range(rounded(w) - reach_w, rounded(w) + reach_w + 1):
                if 0 <= i < H and 0 <= k < W:
                    weight = coefficient((h - i) / s_h) * coefficient((w - k) / s_w)
                    total, weights = total + weight * x[:, :, i, k], weights + weight
        y[:, :, p, q] = total / weights if weights else 0
    return y


@pytest.mark.parametrize("size", [(6, 5), (3, 3), (12, 15), (4, 7), (1, 1)])
@pytest.mark.parametrize(
    ("options", "numbers"),
    [("", (triangle, 2)), ("type: CUBIC", (cubic, 4)), ("antialias: false", (triangle, 2, False))],
)
def test_between_pixels(options, numbers, size):
    text = f'type: "Resample" resample_param {{ height: {size[0]} width: {size[1]} {options} }}'
    check_layer(
        text, [X], lambda bottoms, _: [resampled(bottoms[0], size, *numbers)], gradients=(), check_blobs=False
    )


def test_the_nearest_pixel():
    text = 'type: "Resample" resample_param { height: 3 width: 10 type: NEAREST }'
    (y,) = build_layer(text, [X]).forward()
    rows = [rounded(p * 2 + 0.25 - 0.5) for p in range(3)]
    columns = [min(max(rounded(q * 0.5 + 1 - 0.5), 0), 4) for q in range(10)]
    np.testing.assert_array_equal(y, X.astype(np.float32)[:, :, rows][..., columns])


def test_the_size_of_a_second_bottom():
    other = np.zeros((1, 1, 3, 4))
    for name in ("Resample", "Downsample"):
        rig = build_layer(f'type: "{name}"', [X, other])
        assert rig.top[0].shape == (2, 3, 3, 4)


def downsampled(x, size):
    (H, W), (P, Q) = x.shape[2:], size
    s_h, s_w = (H - 1) / (P - 1), (W - 1) / (Q - 1)
    y = np.zeros((*x.shape[:2], P, Q))
    for n, c, p, q in np.ndindex(*y.shape):
        total = weights = lost = 0.0
        for i, k in np.ndindex(H, W):
            near = abs(i - rounded(p * s_h)) <= math.ceil(s_h) and abs(k - rounded(q * s_w)) <= math.ceil(s_w)
            weight = max(0, 1 - abs(i - p * s_h) / s_h) * max(0, 1 - abs(k - q * s_w) / s_w) if near else 0
            if math.isnan(x[n, c, i, k]):
                lost += weight
            else:
                total, weights = total + weight * x[n, c, i, k], weights + weight
        y[n, c, p, q] = math.nan if weights == 0 or lost / weights > 0.5 else total / weights
    return y


@pytest.mark.parametrize("size", [(3, 3), (2, 4), (6, 3), (6, 5)])
def test_weighted_means(size):
    text = f'type: "Downsample" downsample_param {{ top_height: {size[0]} top_width: {size[1]} }}'
    right = (lambda x: x) if size == (6, 5) else lambda x: downsampled(x, size)
    check_layer(text, [X], lambda bottoms, _: [right(bottoms[0])], gradients=(), check_blobs=False)


def test_lost_values_do_not_count():
    x = X.copy()
    x[0, :, :3, :2] = math.nan
    text = 'type: "Downsample" downsample_param { top_height: 3 top_width: 3 }'
    (y,) = build_layer(text, [x]).forward()
    right = downsampled(x, (3, 3))
    assert np.isnan(right).any()
    assert not np.isnan(right[0]).all()
    np.testing.assert_allclose(y, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('type: "Resample"', "needs the size of its top"),
        ('type: "Downsample" downsample_param { top_width: 3 }', "needs the size of its top"),
        ('type: "Resample" resample_param { type: AREA height: 2 width: 2 }', "its fork has no AREA, either"),
        (
            'type: "Downsample" downsample_param { top_height: 1 top_width: 3 }',
            "needs heights and widths of 2 or more, got (6, 5) and (1, 3)",
        ),
    ],
)
def test_errors(text, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, [X])
    assert message in str(error.value)


def test_there_is_no_gradient():
    rig = build_layer('type: "Resample" resample_param { height: 2 width: 2 }', [X])
    with pytest.raises(LayerError, match="has no gradient"):
        rig.layer.backward(rig.top, [True], rig.bottom)

import itertools

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 2, 5, 6))
REGIONS = np.array(
    [[0, 3.0, 5.0, 30.0, 26.0], [1, 9.0, 0.0, 21.0, 33.0], [1, 17.0, 12.0, 17.0, 12.0], [0, 50, 3, 80, 20]]
)


def largest_samples(x, regions, scale, P, Q):
    """The largest of four samples of each bin, from its definition."""
    flat, (_, C, H, W) = x.ravel(), x.shape
    y = np.zeros((len(regions), C, P, Q))
    for r, c, p, q in np.ndindex(y.shape):
        n, x1, y1, x2, y2 = regions[r] * [1, scale, scale, scale, scale]
        rows = np.clip(np.arange(p, p + 2) * max(y2 - y1 + 1, 1) / P + y1, 0, H)
        columns = np.clip(np.arange(q, q + 2) * max(x2 - x1 + 1, 1) / Q + x1, 0, W)
        pixels = itertools.product(
            range(int(np.ceil(rows[0])), int(np.floor(rows[1])) + 1),
            range(int(np.ceil(columns[0])), int(np.floor(columns[1])) + 1),
        )
        pixels = list(pixels)[:4]
        samples = [0] if rows[1] <= rows[0] or columns[1] <= columns[0] else []
        for sx, sy in itertools.product((-0.5, 0.5), (-0.5, 0.5)):
            value = 0
            for h, w in pixels:
                place = ((int(n) * C + c) * H + h) * W + w
                weight = _weight(w, x1, x2, sx) * _weight(h, y1, y2, sy)
                value += weight * (flat[place] if place < len(flat) else 0)
            samples.append(value)
        y[r, c, p, q] = max(samples)
    return y


def _weight(pixel, start, end, sample):
    place = np.clip(2 * (pixel - start) / (end - start) - 1, -1, 1) if end != start else 0
    return max(1 - abs(sample - place), 0)


@pytest.mark.parametrize(("P", "Q"), [(2, 2), (3, 2), (1, 4)])
def test_largest_of_four_samples(P, Q):
    check_layer(
        f'type: "ROIAlign" roi_align_param {{ pooled_h: {P} pooled_w: {Q} spatial_scale: 0.125 }}',
        [X, REGIONS],
        lambda b, _: [largest_samples(b[0], b[1], 0.125, P, Q)],
        resized=(),
    )


def corner_values(x, regions, scale, P, Q, pad_ratio):
    """The values at the corners of the bins, from their definition."""
    _, C, H, W = x.shape
    y = np.zeros((len(regions), C, P + 1, Q + 1))
    for r, c, p, q in np.ndindex(y.shape):
        n, x1, y1, x2, y2 = regions[r]
        pad = pad_ratio * np.array([x2 - x1 + 1, y2 - y1 + 1])
        start, end = (np.array([x1, y1]) - pad) * scale - 0.5, (np.array([x2, y2]) + pad) * scale - 0.5
        w, h = start + np.array([q / Q, p / P]) * (end - start)
        if (end > start).all() and -0.5 <= h <= H - 0.5 and -0.5 <= w <= W - 0.5:
            h, w = np.clip(h, 0, H - 1), np.clip(w, 0, W - 1)
            hat = [np.maximum(1 - np.abs(np.arange(size) - v), 0) for size, v in ((H, h), (W, w))]
            y[r, c, p, q] = hat[0] @ x[int(n), c] @ hat[1]
    return y


@pytest.mark.parametrize(("P", "Q", "pad_ratio"), [(2, 2, 0), (3, 2, 0.25), (1, 4, 0)])
def test_corners_of_bins(P, Q, pad_ratio):
    options = f"pooled_h: {P} pooled_w: {Q} spatial_scale: 0.125 pad_ratio: {pad_ratio}"
    check_layer(
        f'type: "ROIAlign" roi_pooling_param {{ {options} }}',
        [X, REGIONS],
        lambda b, _: [corner_values(b[0], b[1], 0.125, P, Q, pad_ratio)],
        resized=(),
    )


def centre_values(x, regions, scale, P, Q):
    """The values at the centres of the bins, from their definition."""
    _, C, H, W = x.shape
    y = np.zeros((len(regions), C, P, Q))
    for r, c, p, q in np.ndindex(y.shape):
        n, x1, y1, x2, y2 = regions[r] * [1, scale, scale, scale, scale]
        rows = np.clip(y1 + np.arange(p, p + 2) * max(y2 - y1 + 1, 1) / P, 0, H - 1)
        columns = np.clip(x1 + np.arange(q, q + 2) * max(x2 - x1 + 1, 1) / Q, 0, W - 1)
        centres = (H, rows.mean()), (W, columns.mean())
        hat = [np.maximum(1 - np.abs(np.arange(size) - v), 0) for size, v in centres]
        y[r, c, p, q] = hat[0] @ x[int(n), c] @ hat[1]
    return y


@pytest.mark.parametrize(("P", "Q"), [(2, 2), (3, 2), (1, 4)])
def test_centres_of_bins(P, Q):
    turned = np.array([[0, 30, 26, 3, 5.0]])  # whose sides are the wrong way round
    check_layer(
        f'type: "ROIAlignment" roi_alignment_param {{ pooled_h: {P} pooled_w: {Q} spatial_scale: 0.125 }}',
        [X, np.vstack([REGIONS, turned])],
        lambda b, _: [centre_values(b[0], b[1], 0.125, P, Q)],
        resized=(),
    )


@pytest.mark.parametrize("param", ["roi_align_param", "roi_pooling_param", "roi_alignment_param"])
@pytest.mark.parametrize(
    ("options", "regions", "message"),
    [
        ("pooled_h: 2", REGIONS, "needs pooled_h and pooled_w of 1 or more, got 2 and 0"),
        (
            "pooled_h: 2 pooled_w: 2",
            REGIONS[:, :4],
            "needs regions of 5 numbers, image x1 y1 x2 y2, got shape (4, 4)",
        ),
        (
            "pooled_h: 2 pooled_w: 2",
            REGIONS + np.eye(1, 5) * 2,
            "needs regions of images 0 to 1, got image 2",
        ),
    ],
)
def test_errors(param, options, regions, message):
    name = "ROIAlignment" if param == "roi_alignment_param" else "ROIAlign"
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "{name}" {param} {{ {options} }}', [X, regions]).forward()
    assert str(error.value) == f"layer 'layer' ({name}): {message}"

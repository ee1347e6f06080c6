import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
ROWS = np.array([[0, 0, 0, 15, 11], [1, 4, 2, 10, 10], [1, -9, -9, 3, 90], [0, 6, 6, 6, 6]], float)


def max_pooled(x, rows, P, Q, scale):
    y = np.zeros((len(rows), x.shape[1], P, Q))
    for r, row in enumerate(rows):
        x1, y1, x2, y2 = (
            math.floor(v * scale + 0.5) if v >= 0 else -math.floor(0.5 - v * scale) for v in row[1:]
        )
        bin_h, bin_w = max(y2 - y1 + 1, 1) / P, max(x2 - x1 + 1, 1) / Q
        for p, q in np.ndindex(P, Q):
            h0, h1 = math.floor(p * bin_h) + y1, math.ceil((p + 1) * bin_h) + y1
            w0, w1 = math.floor(q * bin_w) + x1, math.ceil((q + 1) * bin_w) + x1
            cut = x[int(row[0]), :, max(h0, 0) : max(h1, 0), max(w0, 0) : max(w1, 0)]
            if cut.size:
                y[r, :, p, q] = cut.max(axis=(1, 2))
    return y


@pytest.mark.parametrize(("P", "Q"), [(2, 2), (3, 1), (7, 8)])
def test_the_maximum_of_each_bin(P, Q):
    x = R.permutation(2 * 2 * 6 * 8).reshape(2, 2, 6, 8) / 50
    check_layer(
        f'type: "ROIPooling" roi_pooling_param {{ pooled_h: {P} pooled_w: {Q} spatial_scale: 0.5 }}',
        [x, ROWS],
        lambda bottoms, _: [max_pooled(*bottoms, P, Q, 0.5)],
        gradients=[0],
        resized=[np.concatenate([x, x]), ROWS[:3]],
    )


def averaged(x, rows, C, G, scale):
    y = np.zeros((len(rows), C, G, G))
    for r, row in enumerate(rows):
        first = [np.float32(math.floor(v + 0.5) if v >= 0 else -math.floor(0.5 - v)) for v in row[1:]]
        left, top = first[0] * np.float32(scale), first[1] * np.float32(scale)
        right, bottom = (first[2] + 1) * np.float32(scale), (first[3] + 1) * np.float32(scale)
        h, w = (
            max(bottom - top, np.float32(0.1)) / np.float32(G),
            max(right - left, np.float32(0.1)) / np.float32(G),
        )
        for c, i, j in np.ndindex(C, G, G):
            h0, h1 = math.floor(i * h + top), math.ceil((i + 1) * h + top)
            w0, w1 = math.floor(j * w + left), math.ceil((j + 1) * w + left)
            cut = x[int(row[0]), (c * G + i) * G + j, max(h0, 0) : max(h1, 0), max(w0, 0) : max(w1, 0)]
            if cut.size:
                y[r, c, i, j] = cut.mean()
    return y


@pytest.mark.parametrize(("G", "scale"), [(2, 0.5), (3, 0.25), (1, 1)])
def test_the_mean_of_each_bin_of_its_own_channel(G, scale):
    x = R.normal(size=(2, 2 * G * G, 6, 8))
    options = f"output_dim: 2 group_size: {G} spatial_scale: {scale}"
    check_layer(
        f'type: "PSROIPooling" psroi_pooling_param {{ {options} }}',
        [x, ROWS],
        lambda bottoms, _: [averaged(*bottoms, 2, G, scale)],
        gradients=[0],
        resized=[np.concatenate([x, x]), ROWS[:3]],
    )


@pytest.mark.parametrize(
    "text",
    [
        'type: "ROIPooling" roi_pooling_param { pooled_h: 2 pooled_w: 2 }',
        'type: "PSROIPooling" psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 }',
    ],
)
def test_no_regions(text):
    rig = build_layer(text, [np.ones((1, 4, 3, 3)), np.zeros((0, 5))])
    (y,) = rig.forward()
    assert (y.shape[0], y.shape[2:]) == (0, (2, 2))
    (dx, _), _ = rig.backward([y], bottom_fill=7)
    assert not dx.any()


def test_malformed_regions_pass_nothing_back():
    rig = build_layer(
        'type: "ROIPooling" roi_pooling_param { pooled_h: 1 pooled_w: 1 }',
        [np.ones((1, 1, 4, 4)), [[0, 3, 3, 1, 1]]],
    )
    assert rig.forward()[0].item() == 1
    (dx, _), _ = rig.backward([np.ones((1, 1, 1, 1))])
    assert not dx.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'type: "ROIPooling" roi_pooling_param { pooled_h: 2 }',
            "(ROIPooling): needs pooled_h and pooled_w of 1 or more, got 2 and 0",
        ),
        (
            'type: "PSROIPooling" psroi_pooling_param { output_dim: 1 group_size: 0 spatial_scale: 1 }',
            "(PSROIPooling): needs output_dim, group_size and spatial_scale above 0",
        ),
        (
            'type: "PSROIPooling" psroi_pooling_param { output_dim: 1 group_size: 3 spatial_scale: 1 }',
            "(PSROIPooling): needs 9 channels, output_dim group_size², got shape (1, 4, 3, 3)",
        ),
    ],
)
def test_errors(text, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, [np.ones((1, 4, 3, 3)), np.zeros((1, 5))])
    assert str(error.value) == f"layer 'layer' {message}"

import logging

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(0).normal(size=shape)


def across(size, alpha=1.0, beta=0.75, k=1.0):
    def compute(bottoms, blobs):
        x = bottoms[0]
        near = np.pad(x**2, [(0, 0), (size // 2, size // 2), (0, 0), (0, 0)])
        total = sum(near[:, d : d + x.shape[1]] for d in range(size))
        return [x * (k + alpha / size * total) ** -beta]

    return compute


def within(size, alpha=1.0, beta=0.75):
    def compute(bottoms, blobs):
        x = bottoms[0]
        H, W = x.shape[2:]
        near = np.pad(x**2, [(0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2)])
        total = sum(near[:, :, g : g + H, v : v + W] for g in range(size) for v in range(size))
        return [x * (1 + alpha / size**2 * total) ** -beta]

    return compute


@pytest.mark.parametrize(
    ("fields", "reference"),
    [
        ("", across(5)),
        ("local_size: 3 alpha: 0.5 beta: 0.5 k: 2", across(3, 0.5, 0.5, 2)),
        ("local_size: 1 alpha: 1.5 beta: 1", across(1, 1.5, 1)),
        ("local_size: 15 alpha: 2", across(15, 2)),
        ("norm_region: WITHIN_CHANNEL", within(5)),
        ("norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.5 beta: 0.625", within(3, 0.5, 0.625)),
        ("norm_region: WITHIN_CHANNEL local_size: 1 beta: 1", within(1, 1, 1)),
        ("norm_region: WITHIN_CHANNEL local_size: 11 alpha: 3", within(11, 3)),
    ],
)
def test_regions(fields, reference):
    check_layer(f'type: "LRN" lrn_param {{ {fields} }}', [values(2, 6, 4, 3)], reference, in_place=True)


def test_k_has_no_part_within_channels():
    x = [values(1, 2, 3, 3)]
    given, default = (
        build_layer(f'type: "LRN" lrn_param {{ norm_region: WITHIN_CHANNEL {k} }}', x).forward()[0]
        for k in ("k: 7", "")
    )
    assert np.array_equal(given, default)


def test_large_values_leave_nothing_behind():
    x = np.ones((1, 40, 1, 2), np.float32)
    x[:, 3] = 1e7
    y = build_layer('type: "LRN"', [x]).forward()[0]
    assert np.allclose(y[:, 10:-2], 2**-0.75, rtol=1e-6)


def test_engine_is_accepted_with_a_word(caplog, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.layer.engine._said", set())
    with caplog.at_level(logging.WARNING):
        build_layer('type: "LRN" lrn_param { engine: CUDNN }', [values(1, 2, 3, 3)])
    assert caplog.messages == ["layer 'layer' (LRN): engine CUDNN is not available, its own kernels run"]


def error_of(fields, *shape):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "LRN" lrn_param {{ {fields} }}', [values(*shape)])
    return str(error.value)


def test_what_it_does_not_take():
    said = "layer 'layer' (LRN): needs "
    assert error_of("local_size: 4", 1, 2, 3, 3) == said + "an odd local_size, got 4"
    assert error_of("local_size: 0", 1, 2, 3, 3) == said + "an odd local_size, got 0"
    assert error_of("", 2, 3) == said + "a bottom of 4 axes, got bottom shape (2, 3)"
    wanted = said + "a bottom of 4 axes, got bottom shape (1, 2, 3, 3, 3)"
    assert error_of("norm_region: WITHIN_CHANNEL", 1, 2, 3, 3, 3) == wanted


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_backward_after_a_reshape_knows_the_new_shape(region):
    text = f'type: "LRN" lrn_param {{ norm_region: {region} }}'
    rig, small = build_layer(text, [values(2, 6, 4, 4)]), build_layer(text, [values(1, 3, 2, 2)])
    rig.forward()
    rig.bottom[0].reshape(1, 3, 2, 2)
    rig.layer.reshape(rig.bottom, rig.top)
    rig.bottom[0].data[...] = values(1, 3, 2, 2)
    small.forward()
    dy = [np.ones((1, 3, 2, 2))]
    assert np.array_equal(rig.backward(dy)[0][0], small.backward(dy)[0][0])


def test_backward_in_place_needs_a_forward_pass_for_the_shape():
    rig = build_layer('type: "LRN"', [values(2, 6, 4, 4)], in_place=True)
    rig.forward()
    rig.bottom[0].reshape(1, 3, 2, 2)
    rig.layer.reshape(rig.bottom, rig.top)
    with pytest.raises(LayerError, match=r"backward needs a forward pass for shape \(1, 3, 2, 2\) first"):
        rig.backward([np.ones((1, 3, 2, 2))])

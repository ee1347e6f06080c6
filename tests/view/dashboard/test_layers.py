"""Looks at weights: what they say is what NumPy says, and they cost no more for large blobs."""

import numpy as np
import pytest

from pycaffe_lite import TRAIN, Net
from pycaffe_lite.view.dashboard import layers
from pycaffe_lite.view.dashboard.layers import Histogram, LayerLook, first_kernels, root_mean_square, sampled

NET = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "small" type: "Convolution" bottom: "x" top: "a"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "conv" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
"""


def test_histogram():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    histogram = Histogram.of(values)
    counts, edges = np.histogram(values, bins=layers.BINS)
    assert abs(np.array(histogram.counts) - counts).sum() <= 2  # a value on an edge, rounded
    assert (histogram.low, histogram.high) == (edges[0], edges[-1])


@pytest.mark.parametrize(
    ("values", "lost"),
    [([], 0), ([2, 2, 2], 0), ([np.nan, np.inf], 2), ([1, np.nan, 3], 1), ([0, 1e-310], 0)],
)
def test_histogram_of_special_values(values, lost):
    histogram = Histogram.of(np.array(values))
    assert histogram.lost == lost
    assert sum(histogram.counts) == len(values) - lost
    assert len(histogram.counts) == layers.BINS


def test_look_before_and_after_an_update():
    net = Net.from_text(NET, TRAIN, dtype=np.float64)
    random = np.random.default_rng(1)
    for blob in net.learnable_params:
        blob.data[...] = random.normal(size=blob.shape)
        blob.diff[...] = random.normal(size=blob.shape)
    before = [blob.data.copy() for blob in net.learnable_params]
    net.learnable_params[1].data[...] = before[1] = np.zeros(4)
    look = LayerLook(net)
    for blob in net.learnable_params:
        blob.data[...] -= 0.01 * blob.diff
    found = look.finish()
    assert [(blob.layer, blob.index, blob.shape) for blob in found] == [
        ("small", 0, (4, 3, 1, 1)),
        ("small", 1, (4,)),
        ("conv", 0, (5, 4, 3, 3)),
        ("conv", 1, (5,)),
    ]
    for blob, one, old in zip(found, net.learnable_params, before, strict=True):
        norm = np.linalg.norm(old)
        if norm:
            assert blob.ratio == pytest.approx(0.01 * np.linalg.norm(one.diff) / norm)
        else:
            assert blob.ratio is None
        assert blob.gradient_size == pytest.approx(root_mean_square(one.diff.ravel()))
        assert blob.weights.low == old.min()
    name, kernels = first_kernels(net)
    assert name == "conv"
    np.testing.assert_array_equal(kernels, net.params["conv"][0].data)


def test_large_blobs_are_sampled(monkeypatch):
    monkeypatch.setattr(layers, "MOST_VALUES", 100)
    assert len(sampled(np.zeros((30, 30)))) <= 100
    assert sampled(np.arange(100.0)).tolist() == list(range(100))
    values = np.zeros(3)
    sampled(values)[:] = 1
    assert not values.any()

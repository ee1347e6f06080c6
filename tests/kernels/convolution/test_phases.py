"""A convolution with a stride, and the same one without it over the phases of the image."""

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.phases import join_kernels, split_kernels, without_stride
from pycaffe_lite.kernels.runtime.scratch import no_memory
from tests.kernels.convolution.cases import case, definition, geometry_of
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

FLOAT = np.dtype(np.float32)
CASES = {
    "caffenet's first": case(1, 3, 27, 31, 4, 11, stride=4),
    "whole phases": case(2, 2, 12, 14, 6, 6, stride=3, group=2),
    "padded": case(1, 2, 9, 9, 3, 5, pad=2, stride=2),
}


def phases_of(x, g, of_phases):
    """The image of the phases: channel (c, e, f) has every s-th pixel of every s-th line from (e, f) on."""
    s = g.stride_h
    H, W = s * of_phases.H, s * of_phases.W
    padded = np.zeros((*x.shape[:2], max(H, g.H + g.pad_h), max(W, g.W + g.pad_w)), x.dtype)
    padded[:, :, g.pad_h : g.pad_h + g.H, g.pad_w : g.pad_w + g.W] = x
    parts = padded[:, :, :H, :W].reshape(len(x), x.shape[1], of_phases.H, s, of_phases.W, s)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(len(x), -1, of_phases.H, of_phases.W)


@pytest.mark.parametrize("name", CASES)
def test_the_phases_give_the_results_of_the_convolution(name):
    g, layer = geometry_of(CASES[name]), CASES[name]
    numbers, of_phases = np.random.default_rng(0), without_stride(g)
    x, w = (numbers.standard_normal(layer[array]).astype(np.float32) for array in ("x", "w"))
    size = of_phases.kernel_h
    kernels = guarded_nans((g.M, layer["w"][1] * g.stride_h**2, size, size), np.float32)
    split_kernels(no_memory(FLOAT), w.reshape(-1), kernels.reshape(-1), np.array(g))
    assert margins_untouched(kernels)
    dy = np.zeros((g.N, g.M, g.P, g.Q), np.float32)
    (y, _), *_ = definition(x, w, dy, layer["window"])
    without = layer["window"]._replace(kernel_h=size, kernel_w=size, pad_h=0, pad_w=0, stride_h=1, stride_w=1)
    (of_kernels, _), *_ = definition(phases_of(x, g, of_phases), kernels, dy, without)
    assert np.allclose(of_kernels, y, atol=1e-10)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_joined_kernels_are_those_that_were_split(name, add):
    g, shape = geometry_of(CASES[name]), CASES[name]["w"]
    w = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    size = without_stride(g).kernel_h
    kernels = np.empty((g.M, shape[1] * g.stride_h**2, size, size), np.float32)
    split_kernels(no_memory(FLOAT), w.reshape(-1), kernels.reshape(-1), np.array(g))
    out = guarded(np.ones_like(w)) if add else guarded_nans(shape, np.float32)
    join_kernels(no_memory(FLOAT), kernels.reshape(-1), out.reshape(-1), np.array(g), add)
    assert np.array_equal(out, w + np.float32(1) if add else w)
    assert margins_untouched(out)


def test_without_a_stride_nothing_changes():
    g = geometry_of(case(1, 2, 9, 9, 3, 5, pad=2))
    assert without_stride(g) is g

"""Convolutions to try, their definition in float64, and checks of one algorithm alone."""

import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution import Window, depthwise_small
from pycaffe_lite.kernels.convolution.geometry import geometry
from pycaffe_lite.kernels.convolution.weights import weights_in_order
from pycaffe_lite.kernels.runtime.llvm import target
from pycaffe_lite.kernels.runtime.memory import ALIGNMENT
from tests.kernels.guarded import (
    at_the_end_of_memory,
    guarded,
    guarded_nans,
    margins_untouched,
    spoil_scratch,
)
from tests.kernels.threads import same_bits

LANES = target().lanes(4)  # of float32
WIDE = 16  # those of AVX-512, for which choices among algorithms are tested


def case(images, channels, height, width, outputs, kernel, pad=0, stride=1, dilation=1, group=1, seed=0):
    """Channels and outputs are per group."""
    pairs = (
        value if isinstance(value, tuple) else (value, value) for value in (kernel, pad, stride, dilation)
    )
    window = Window(*(number for pair in pairs for number in pair), group)
    return {
        "x": (images, channels * group, height, width),
        "w": (outputs * group, channels, window.kernel_h, window.kernel_w),
        "window": window,
        "seed": seed,
    }


def outputs_of(case):
    """The result's shape: of Caffe's formula, where windows that do not fit leave nothing."""
    _, _, *image = case["x"]
    window = case["window"]
    sides = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, pad, stride, dilation in zip(
            image, window[:2], window[2:4], window[4:6], window[6:8], strict=True
        )
    ]
    return (case["x"][0], case["w"][0], *sides)


def columns(x, window, outputs):
    """col[n, c, i, j, p, q] by its definition, in float64, and where in the image (h, w) each one lies."""
    i, j = np.arange(window.kernel_h), np.arange(window.kernel_w)
    p, q = np.arange(outputs[2]), np.arange(outputs[3])
    h = p * window.stride_h - window.pad_h + i[:, None] * window.dilation_h
    w = q * window.stride_w - window.pad_w + j[:, None] * window.dilation_w
    h, w = h[:, None, :, None], w[None, :, None, :]
    there = (h >= 0) & (h < x.shape[2]) & (w >= 0) & (w < x.shape[3])
    h, w = (np.where(there, at, 0) for at in (h, w))
    if x.size == 0:
        return np.zeros((*x.shape[:2], *there.shape)), there, h, w
    return np.where(there, x[:, :, h, w].astype(float), 0), there, h, w


def grouped(array, axis, group):
    """Axis split into (group, rest)."""
    shape = array.shape
    return array.reshape(*shape[:axis], group, shape[axis] // group, *shape[axis + 1 :]).astype(float)


def definition(x, w, dy, window):
    """y, dx and dw of the definition, each with the sum of the absolute values of its terms."""
    col, there, h, v = columns(x, window, dy.shape)
    G = window.group
    col, wg, dyg = grouped(col, 1, G), grouped(w, 0, G), grouped(dy, 1, G)
    results = []
    for c, k, d in ((col, wg, dyg), (abs(col), abs(wg), abs(dyg))):
        y = np.einsum("ngcijpq,gmcij->ngmpq", c, k, optimize=True).reshape(dy.shape)
        dcol = np.einsum("gmcij,ngmpq->ngcijpq", k, d, optimize=True)
        dcol = np.where(there, dcol.reshape(*x.shape[:2], *there.shape), 0)
        dx = np.zeros(x.shape)
        if x.size:
            np.add.at(dx, (slice(None), slice(None), *np.broadcast_arrays(h, v)), dcol)
        dw = np.einsum("ngmpq,ngcijpq->gmcij", d, c, optimize=True).reshape(w.shape)
        results.append((y, dx, dw))
    return zip(*results, strict=True)


def arrays(case, dtype):
    numbers = np.random.default_rng(case["seed"])
    shapes = case["x"], case["w"], outputs_of(case), case["w"][:1]
    return [numbers.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_close(got, expected, bound, errs=1):
    assert np.all(abs(got - expected) <= 8 * errs * np.finfo(got.dtype).eps * (bound + abs(expected)))
    assert margins_untouched(got)


@contextmanager
def exact_memory(algorithm):
    """Gives an algorithm just the working memory that it asks for, full of NaNs and at the end of memory."""

    def memory(dtype, _workers, count):
        return array("workers", dtype, -(-count // ALIGNMENT) * ALIGNMENT).reshape(1, -1)

    def array(_purpose, dtype, count):
        return at_the_end_of_memory(np.full(count, np.nan, dtype))

    with ExitStack() as stack:
        for module in (algorithm, depthwise_small):  # `depthwise` hands small kernels on
            stack.enter_context(mock.patch.object(module, "worker_memory", memory))
            if hasattr(module, "scratch"):
                stack.enter_context(mock.patch.object(module, "scratch", array))
        yield


@contextmanager
def limits(module, plan, **values):
    """Sets constants of a module by which its `plan` cuts the work."""
    with ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(mock.patch.object(module, name, value))
        plan.cache_clear()
        stack.callback(plan.cache_clear)
        yield


def bits_of(product, case, seed=1):
    """The results of an algorithm of `blocked.product`, as bytes."""
    x, w, dy, start = arrays(case, np.float32)
    g, out = geometry_of(case), np.empty_like(dy)
    scale = np.random.default_rng(seed).uniform(0.5, 2, len(start)).astype(np.float32)
    product(x, w, start, scale, 0.25, out, g, weights_in_order(g))
    return out.tobytes()


def check_memory(compute, algorithm):
    """compute() gives the same bits with just the working memory that the algorithm asks for."""
    bits = [array.tobytes() for array in compute()]
    with exact_memory(algorithm):
        assert [array.tobytes() for array in compute()] == bits


def geometry_of(case):
    """The geometry of a convolution as its kernels get it."""
    (N, C, H, W), (M, *_), (*_, P, Q) = case["x"], case["w"], outputs_of(case)
    return geometry(N, C, H, W, M, P, Q, case["window"])


def bounds_of(bound, winograd):
    """How large the terms of each result are: rounding errors of Winograd's are relative to a whole plane."""
    return bound.max(axis=(2, 3), keepdims=True, initial=0) if winograd else bound


def activated(values, slope):
    return np.where(values > 0, values, slope * values)


def check_product(product, case, dtype=np.float32, winograd=False, errs=1):
    """One algorithm of `blocked.product`, and its bits for several threads at the end of memory."""
    x, w, dy, start = arrays(case, dtype)
    scale = np.random.default_rng(1).uniform(0.5, 2, len(start)).astype(dtype)
    (y, bound), *_ = definition(x, w, dy, case["window"])
    g, bound = geometry_of(case), bounds_of(bound, winograd)
    spoil_scratch(dtype)
    for scales, slope in ((scale[:0], 1.0), (scale, 0.25)):
        out = guarded_nans(dy.shape, dtype)
        product(guarded(x), guarded(w), start, scales, slope, out, g, weights_in_order(g))
        factor = scale[:, None, None] if scales.size else 1
        wanted = activated(factor * y + start[:, None, None], slope)
        assert_close(out, wanted, factor * bound + abs(start[:, None, None]), errs)

    x, w, start, scale = (at_the_end_of_memory(array) for array in (x, w, start, scale))

    def compute():
        out = at_the_end_of_memory(dy)
        product(x, w, start, scale, 0.25, out, g, weights_in_order(g))
        return [out]

    assert same_bits(compute)
    check_memory(compute, sys.modules[product.__module__])


def check_flipped(product, case, winograd=False, errs=1):
    """The data gradient of a convolution with stride 1 as the product with its flipped kernels."""
    x, w, dy, _ = arrays(case, np.float32)
    _, (dx, bound), _ = definition(x, w, dy, case["window"])
    g = geometry_of(case)
    window = case["window"]
    flipped = window._replace(
        pad_h=window.dilation_h * (window.kernel_h - 1) - window.pad_h,
        pad_w=window.dilation_w * (window.kernel_w - 1) - window.pad_w,
    )
    of_dy = geometry(g.N, g.M, *dy.shape[2:], g.C, *x.shape[2:], flipped)
    out, none = guarded_nans(x.shape, np.float32), np.empty(0, np.float32)
    start, layout = np.zeros(g.C, np.float32), convolution._flipped_weights(g)
    product(guarded(dy), guarded(w), start, none, 1.0, out, of_dy, layout)
    assert_close(out, dx, bounds_of(bound, winograd), errs)


def check_data_gradient(scatter, case, winograd=False, errs=1):
    """One algorithm of the data gradient, and its bits for several threads."""
    x, w, dy, _ = arrays(case, np.float32)
    _, (dx, bound), _ = definition(x, w, dy, case["window"])
    g, out = geometry_of(case), guarded_nans(x.shape, np.float32)
    spoil_scratch(np.float32)
    scatter(guarded(dy), guarded(w), out, g)
    assert_close(out, dx, bounds_of(bound, winograd), errs)

    dy, w = at_the_end_of_memory(dy), at_the_end_of_memory(w)

    def compute():
        out = at_the_end_of_memory(x)
        scatter(dy, w, out, g)
        return [out]

    assert same_bits(compute)
    check_memory(compute, sys.modules[scatter.__module__])


def check_weight_gradient(accumulate, case, algorithm, winograd=False, errs=1):
    """One algorithm of the weight gradient, added and overwritten, and its bits for several threads."""
    x, w, dy, _ = arrays(case, np.float32)
    *_, (dw, bound) = definition(x, w, dy, case["window"])
    g, bound = geometry_of(case), bounds_of(bound, winograd)
    spoil_scratch(np.float32)
    out = guarded(w)
    accumulate(guarded(x), guarded(dy), out, g, True)
    assert_close(out, w + dw, bound, errs)
    out = guarded_nans(w.shape, np.float32)
    accumulate(guarded(x), guarded(dy), out, g, False)
    assert_close(out, dw, bound, errs)

    x, dy = at_the_end_of_memory(x), at_the_end_of_memory(dy)

    def compute():
        out = at_the_end_of_memory(w)
        accumulate(x, dy, out, g, False)
        return [out]

    assert same_bits(compute)
    check_memory(compute, algorithm)

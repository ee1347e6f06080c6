"""Sums of very many terms against float64: with equal terms, whose roundings add up, and with random ones."""

import numpy as np
import pytest

from pycaffe_lite.kernels import (
    channels,
    convolution,
    convolution_nd,
    inner_product,
    pooling,
    reduction,
    rows,
    softmax,
)
from pycaffe_lite.kernels.convolution import Window
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.im2col import Axes
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd.sums import LANES_FILLED, fold, sum_of, worker_totals

SUMS, PRODUCTS = 1e-6, 1e-5  # largest errors, relative to the largest exact value

F32 = np.float32
fills = {
    "0.3": lambda *shape: np.full(shape, 0.3, F32),
    "random": lambda *shape: np.random.default_rng(1).random(shape, F32),
}


@pytest.fixture(params=fills)
def fill(request):
    return fills[request.param]


def check(values, exact, most):
    assert values.dtype == F32
    exact = np.asarray(exact)
    assert exact.dtype == np.float64
    assert np.abs(values - exact).max() <= most * np.abs(exact).max()


def f64(*arrays):
    return [array.astype(np.float64) for array in arrays]


# -------------------------------------------------------------------------------------- what they are made of


@serial_kernel
def add_up(x):
    return sum_of(x)


@serial_kernel
def fold_block(sums, at, ld, rows, columns, totals, first, last):
    fold(sums, at, ld, rows, columns, totals, first, last)


@pytest.mark.parametrize("count", [0, 1, LANES_FILLED, LANES_FILLED + 1, 5 * LANES_FILLED + 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_counts_every_value(count, dtype):
    x = np.arange(count, dtype=dtype) % 32  # so that all sums are exact
    assert add_up(x) == x.sum(dtype=np.float64)


def test_a_sum_is_kept_in_float64():
    parts = 5
    x = np.zeros(parts * LANES_FILLED, F32)
    x[0] = 1 << 24  # to which float32 cannot add 1
    x[LANES_FILLED::LANES_FILLED] = 1
    assert add_up(x) == (1 << 24) + parts - 1


def test_folded_blocks_are_added_in_float64_and_written_back():
    rows, columns, at, ld = 3, 4, 2, 6
    sums, totals = np.full(at + rows * ld, np.nan, F32), np.full(rows * columns, np.nan)
    block = np.lib.stride_tricks.as_strided(sums[at:], (rows, columns), (4 * ld, 4))
    start = np.arange(rows * columns).reshape(rows, columns)
    block[:] = start + (1 << 23)
    fold_block(sums, at, ld, rows, columns, totals, True, False)
    assert np.array_equal(totals.reshape(rows, columns), start + (1 << 23))
    block[:] = 0.25  # which float32 cannot add
    for last in (False, False, False, True):
        fold_block(sums, at, ld, rows, columns, totals, False, last)
        if not last:
            assert (block == 0.25).all()
    assert np.array_equal(block, start + (1 << 23) + 1)
    assert np.isnan(sums).sum() == sums.size - block.size


def test_each_worker_has_totals_of_its_own():
    totals = worker_totals(3, 5)
    assert (totals.shape, totals.dtype) == ((3, 5), np.float64)
    totals[:] = np.arange(3)[:, None]
    assert (worker_totals(3, 5) == np.arange(3)[:, None]).all()  # the same memory again


# ------------------------------------------------------------------------------------------------ products


@pytest.mark.parametrize("batch", [1, 12, 40])
def test_inner_product_over_many_inputs(fill, batch):
    x, w, y = fill(batch, 200_000), fill(4, 200_000), np.empty((batch, 4), F32)
    exact = np.matmul(x[:1], w.T, dtype=np.float64).repeat(batch, axis=0)
    x[:] = x[0]
    inner_product.forward(x, w, None, y)
    check(y, exact, PRODUCTS)
    inner_product.forward(x, np.ascontiguousarray(w.T), None, y, transpose=True)
    check(y, exact, PRODUCTS)


@pytest.mark.parametrize("batch", [1, 40])
def test_inner_product_of_many_outputs_backward(fill, batch):
    dy, w, dx = fill(batch, 200_000), fill(200_000, 6), np.empty((batch, 6), F32)
    dy[:] = dy[0]
    exact = np.matmul(dy[:1], w, dtype=np.float64).repeat(batch, axis=0)
    inner_product.backward_data(dy, w, dx)
    check(dx, exact, PRODUCTS)
    inner_product.backward_data(dy, np.ascontiguousarray(w.T), dx, transpose=True)
    check(dx, exact, PRODUCTS)


@pytest.mark.parametrize(("K", "N"), [(4, 8), (33, 20)])
def test_inner_product_of_many_rows_backward(fill, K, N):
    x, dy = fill(200_000, K), fill(200_000, N)
    dw, db = fill(N, K), fill(N)
    exact_dw, exact_db = dw + np.matmul(dy.T, x, dtype=np.float64), db + dy.sum(0, dtype=np.float64)
    inner_product.backward_weights(x, dy, dw)
    inner_product.backward_bias(dy, db)
    check(dw, exact_dw, PRODUCTS)
    check(db, exact_db, SUMS)


def test_gemm_goes_on_from_what_there_is(fill):
    a, b, c = fill(2, 100_000), fill(100_000, 3), np.full((2, 3), 1000, F32)
    exact = 500 + np.matmul(a, b, dtype=np.float64)
    gemm(a, b, c, beta=0.5)
    check(c, exact, PRODUCTS)


def convolved(x, w, window):
    """The convolution of images and kernels of as many lines and columns as they have; padding as given."""
    sizes = window.kernel_h, window.kernel_w
    padded = np.pad(x, ((0, 0), (0, 0), (window.pad_h,) * 2, (window.pad_w,) * 2))
    patches = np.lib.stride_tricks.sliding_window_view(padded, sizes, (2, 3))
    patches = patches[:, :, :: window.stride_h, :: window.stride_w]
    return np.einsum("ncpqij,mcij->nmpq", patches, w, optimize=True), patches


# The pixels fill lines of whole vectors, or half ones, or none: different kernels do these.
@pytest.mark.parametrize("window", [Window(1, 1), Window(3, 3, 1, 1), Window(5, 5, 2, 2, 2, 2)])
@pytest.mark.parametrize("size", [(4, 8), (3, 5)])
def test_convolution_over_many_channels(fill, window, size):
    C = 100_000 // window.kernel_h**2
    x, w = fill(2, C, *size), fill(4, C, *window[:2])
    exact, _ = convolved(*f64(x, w), window)
    y = np.empty(exact.shape, F32)
    shift = np.array([1, 2, 3, 4], F32)
    convolution.forward(x, w, shift, y, window, convolution.Epilogue(scale=1 / shift, slope=0.5))
    check(y, exact / f64(shift)[0][:, None, None] + 1, PRODUCTS)


@pytest.mark.parametrize("window", [Window(1, 1), Window(3, 3, 1, 1), Window(3, 3, 1, 1, 2, 2)])
def test_convolution_of_many_channels_backward(fill, window):
    M = 100_000 // window.kernel_h**2
    w, dy = fill(M, 3, *window[:2]), fill(2, M, 4 // window.stride_h, 8 // window.stride_w)
    dx = np.empty((2, 3, 4, 8), F32)
    convolution.backward_data(dy, w, dx, window)
    wide = np.zeros((2, 3, 6, 10))
    products = np.einsum("mcij,nmpq->ncijpq", *f64(w, dy), optimize=True)
    for i in range(window.kernel_h):
        for j in range(window.kernel_w):
            lines = slice(i, i + 4, window.stride_h), slice(j, j + 8, window.stride_w)
            wide[(..., *lines)] += products[:, :, i, j]
    pad = window.pad_h
    check(dx, wide[:, :, pad : pad + 4, pad : pad + 8], PRODUCTS)


def test_convolution_over_many_channels_of_groups(fill):
    x, w, y = fill(1, 80_000, 2, 3), fill(6, 40_000, 1, 1), np.empty((1, 6, 2, 3), F32)
    convolution.forward(x, w, None, y, Window(1, 1, group=2))
    images, kernels = np.split(x[0], 2), np.split(w[..., 0, 0], 2)
    halves = [np.einsum("chw,mc->mhw", *f64(*pair)) for pair in zip(images, kernels, strict=True)]
    check(y[0], np.concatenate(halves), PRODUCTS)


@pytest.mark.parametrize("shape", [(1, 300, 512), (1, 2, 50_000), (2500, 8, 8)])
@pytest.mark.parametrize(
    "window", [Window(1, 1), Window(3, 3, 1, 1), Window(5, 5, 2, 2), Window(3, 3, 1, 1, 2, 2)]
)
@pytest.mark.parametrize(("C", "M"), [(3, 5), (16, 16)])
def test_convolution_of_many_positions_backward(fill, shape, window, C, M):
    N, H, W = shape
    x, dy = fill(1, C, H, W), fill(1, M, H // window.stride_h, W // window.stride_w)
    x, dy = (np.ascontiguousarray(np.broadcast_to(array, (N, *array.shape[1:]))) for array in (x, dy))
    dw, db = np.zeros((M, C, *window[:2]), F32), np.zeros(M, F32)
    convolution.backward_weights(x, dy, dw, window)
    convolution.backward_bias(dy, db)
    x64, dy64 = f64(x[:1], dy[:1])
    _, patches = convolved(x64, np.zeros((1, C, *window[:2])), window)
    check(dw, N * np.einsum("nmpq,ncpqij->mcij", dy64, patches, optimize=True), PRODUCTS)
    check(db, N * dy64.sum((0, 2, 3)), SUMS)


def test_convolution_over_more_axes_of_many_images_backward(fill):
    axes = Axes.of((1, 1, 1), (0, 0, 0), (1, 1, 1), (1, 1, 1))
    x, dy, dw = fill(1000, 2, 1, 2, 2), fill(1000, 2, 1, 2, 2), np.zeros((2, 2, 1, 1, 1), F32)
    convolution_nd.backward_weights(x, dy, dw, axes, 1)
    check(dw[..., 0, 0, 0], np.einsum("nmtpq,nctpq->mc", *f64(dy, x)), SUMS)


# ------------------------------------------------------------------------------------------- sums of values


@pytest.mark.parametrize("shape", [(1000, 1000), (250_000, 4), (1, 1_000_000)])
def test_reduction(fill, shape):
    x, y = fill(*shape), np.empty(shape[0], F32)
    for kind, exact in (
        (reduction.SUM, x),
        (reduction.ABS_SUM, np.abs(x)),
        (reduction.SQUARE_SUM, np.square(x, dtype=np.float64)),
    ):
        reduction.forward(x, kind, 0.5, y)
        check(y, 0.5 * exact.sum(1, dtype=np.float64), SUMS)


@pytest.mark.parametrize("shape", [(300_000, 3, 1), (1, 2, 400_000), (800, 2, 500)])
def test_moments_and_sums_of_channels(fill, shape):
    x = fill(*shape)
    mean, variance = np.empty(shape[1]), np.empty(shape[1])
    channels.moments(x, mean, variance)
    x64 = x.astype(np.float64)
    assert np.allclose(mean, x64.mean((0, 2)), rtol=SUMS, atol=0)
    assert np.allclose(variance, x64.var((0, 2)), rtol=SUMS, atol=1e-12)
    channels.sums(x, x, mean, variance)
    assert np.allclose(mean, x64.sum((0, 2)), rtol=SUMS, atol=0)
    assert np.allclose(variance, (x64 * x64).sum((0, 2)), rtol=SUMS, atol=0)


# global; many windows of many values; many windows with one in common
@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(700, 1, 700), (300, 1, 310), (300, 2, 320), (300, 7, 330)]
)
def test_means(fill, kernel, stride, size):
    window = pooling.PoolingWindow(kernel, kernel, 0, 0, stride, stride)
    count = (size - kernel) // stride + 1
    x, y = fill(1, size, size), np.empty((1, count, count), F32)
    pooling.mean_forward(x, window, y)
    total = np.pad(x[0].astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    first, last = np.arange(count) * stride, np.arange(count) * stride + kernel
    corners = (total[np.ix_(a, b)] for a, b in ((last, last), (first, last), (last, first), (first, first)))
    a, b, c, d = corners
    check(y[0], (a - b - c + d) / kernel**2, SUMS)


def test_gradient_of_overlapping_means(fill):
    window = pooling.PoolingWindow(100, 100, 50, 50, 1, 1)
    dy, dx = fill(1, 101, 101), np.empty((1, 100, 100), F32)
    pooling.mean_backward(dy, window, dx)
    # The windows of row p cover rows p - 50 up to p + 50 of 100, of which padding counts for the area.
    covers = np.array([[max(p - 50, 0) <= h < p + 50 for h in range(100)] for p in range(101)], np.float64)
    lengths = np.array([min(p + 50, 150) - (p - 50) for p in range(101)], np.float64)
    shares = dy[0] / np.outer(lengths, lengths)
    check(dx[0], covers.T @ shares @ covers, SUMS)


def test_gradient_of_one_maximum_in_all_windows(fill):
    window = pooling.PoolingWindow(300, 300, 0, 0, 1, 1)
    dy, index, dx = fill(1, 150, 150), np.full((1, 150, 150), 7, np.int32), np.empty((1, 449, 449), F32)
    pooling.index_backward(dy, index, window, dx)
    exact = np.zeros((449, 449))
    exact[0, 7] = dy.sum(dtype=np.float64)
    check(dx[0], exact, SUMS)


@pytest.mark.parametrize("inner", [1, 3])
def test_softmax_of_many_classes(fill, inner):
    x, dy = fill(1, 300_000, inner), fill(1, 300_000, inner)
    x[0, 0] = 3
    y, dx = np.empty_like(x), np.empty_like(x)
    softmax.forward(x, y)
    exact = np.exp(x.astype(np.float64) - 3)
    exact /= exact.sum(1, keepdims=True)
    check(y[:, 0], exact[:, 0], SUMS)
    check(y[:, 1:], exact[:, 1:], SUMS)
    dy[0, 0] = 2
    softmax.backward(y, dy, dx)
    y64, dy64 = f64(y, dy)
    check(dx, y64 * (dy64 - (y64 * dy64).sum(1, keepdims=True)), PRODUCTS)


@pytest.mark.parametrize("columns", [1, 70])
def test_rows_added_to_one_place(fill, columns):
    values = fill(50_000, columns)
    index = np.full(50_000, 2)
    index[::7] = 0
    table = fill(4, columns)
    exact = table.astype(np.float64)
    exact[0] += values[index == 0].sum(0, dtype=np.float64)
    exact[2] += values[index == 2].sum(0, dtype=np.float64)
    rows.add(values, index, table)
    check(table, exact, SUMS)

"""The matrices of Winograd's algorithms, and the compiled transforms that apply them."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.convolution.winograd import transforms
from pycaffe_lite.kernels.convolution.winograd.transforms import (
    ADDED,
    ALGORITHMS,
    DY,
    DY_OF_CHANNELS,
    PIXELS,
    RESULTS,
    RESULTS_OF_TILES,
    RUNS,
    SUMS,
    WEIGHTS,
    transform_number,
    transform_table,
)
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from tests.kernels.convolution.cases import LANES
from tests.kernels.guarded import at_the_end_of_memory, guarded, guarded_nans, margins_untouched

TABLE = transform_table(np.dtype(np.float32))
SLOPE = np.float32(0.25)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def matrices(size):
    """B', G and A'."""
    return (np.array(matrix, float) for matrix in ALGORITHMS[size])


def both_sides(matrix, squares):
    """Matrix times square times the transpose of matrix; the square's axes are the first two."""
    return np.einsum("ai,ij...,bj->ab...", matrix, squares.astype(float), matrix)


def close(got, wanted):
    return np.allclose(got, wanted, atol=1e-4)


def test_algorithms_in_one_dimension_are_two_steps_of_a_convolution():
    for size in ALGORITHMS:
        pixels, weights, results = matrices(size)
        d, w = np.arange(size + 1.0) ** 2 % 7, np.arange(size) - 1.0
        y = results @ ((weights @ w) * (pixels @ d))
        assert np.allclose(y, [w @ d[:size], w @ d[1:]], rtol=1e-14)


@pytest.mark.parametrize("size", ALGORITHMS)
def test_gradients_are_the_transposed_algorithms(size):
    """<dy, conv(w, d)> = <dw, w> = <dd, d> for dw and dd as the module has them."""
    pixels, weights, results = matrices(size)
    w, d, dy = numbers(size, size), numbers(size + 1, size + 1, seed=1), numbers(2, 2, seed=2)
    product = both_sides(weights, w) * both_sides(pixels, d)
    of_dy = both_sides(results.T, dy)
    dw = both_sides(weights.T, of_dy * both_sides(pixels, d))
    dd = both_sides(pixels.T, of_dy * both_sides(weights, w))
    assert np.vdot(dw, w) == pytest.approx(np.vdot(dy, both_sides(results, product)))
    assert np.vdot(dd, d) == pytest.approx(np.vdot(dw, w))


def test_each_transform_has_a_place_of_its_own():
    kinds = (WEIGHTS, RESULTS, DY_OF_CHANNELS, SUMS)
    of_runs = [kind + i for kind in (PIXELS, DY, ADDED, RESULTS_OF_TILES) for i in range(len(RUNS))]
    places = [transform_number(size, kind) for size in ALGORITHMS for kind in (*kinds, *of_runs)]
    assert sorted(places) == list(range(len(TABLE)))


@serial_kernel
def weights(table, number, count, a, stride, out, place_stride):
    transforms.transform_weights(table, number, count, a, 0, stride, out, 0, place_stride)


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("count", [1, 3])
def test_weights(size, count):
    n, (_, G, _) = size + 1, matrices(size)
    w = numbers(count, size, size, LANES)
    out = guarded_nans((n * n, count, LANES), np.float32)
    weights(
        TABLE, transform_number(size, WEIGHTS), count, w.reshape(-1), LANES, out.reshape(-1), count * LANES
    )
    assert close(out.reshape(n, n, count, LANES), both_sides(G, w.transpose(1, 2, 0, 3)))
    assert margins_untouched(out)


@serial_kernel
def tiles(table, number, count, starts, x, line, out, vector_stride, place_stride):
    transforms.transform_tiles(
        table, number, count, starts, 0, x, 0, line, out, 0, vector_stride, place_stride
    )


def runs_of(kind, vectors, line, lines):
    """Starts of runs, each in a line of its own, and how many tiles a run has."""
    run = LANES // RUNS[kind]
    starts = np.arange(vectors * RUNS[kind]) % lines * line * 2
    return starts, run


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("kind", [i for i, runs in enumerate(RUNS) if runs <= LANES])
@pytest.mark.parametrize("of_dy", [False, True])
def test_tiles_of_pixels_and_of_dy(size, kind, of_dy):
    n, (B, _, A) = size + 1, matrices(size)
    matrix, across, vectors, lines = A.T if of_dy else B, 2 if of_dy else size + 1, 2, 3
    line = 2 * LANES + n
    x = numbers(2 * lines + n, line)
    starts, run = runs_of(kind, vectors, line, lines)
    out = guarded_nans((n * n, vectors * LANES), np.float32)
    number = transform_number(size, (DY if of_dy else PIXELS) + kind)
    tiles(TABLE, number, vectors, starts, x.reshape(-1), line, out.reshape(-1), LANES, vectors * LANES)
    squares = [
        x.reshape(-1)[start + 2 * t + np.add.outer(line * np.arange(across), np.arange(across))]
        for start in starts for t in range(run)
    ]  # fmt: skip
    assert close(out.reshape(n, n, -1), both_sides(matrix, np.stack(squares, -1)))
    assert margins_untouched(out)


@serial_kernel
def results(table, number, count, a, tile_stride, place_stride, scale, start, lanes, slope, out, column, row):
    transforms.transform_results(
        table,
        number,
        count,
        a,
        0,
        tile_stride,
        place_stride,
        scale,
        0,
        start,
        0,
        lanes,
        slope,
        out,
        0,
        column,
        row,
    )


def activated(values):
    return np.where(values > 0, values, values * SLOPE)


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("lanes", [1, LANES])
def test_results_of_channels(size, lanes):
    """Of scale and start only so many lanes are read."""
    n, count, (*_, A) = size + 1, 3, matrices(size)
    p = numbers(n, n, count, LANES)
    scale, start = at_the_end_of_memory(numbers(lanes)), at_the_end_of_memory(numbers(lanes, seed=1))
    out = guarded_nans((2, 2 * count, LANES), np.float32)
    results(
        TABLE, transform_number(size, RESULTS), count, p.reshape(-1),
        LANES, count * LANES, scale, start, lanes,
        SLOPE, out.reshape(-1), LANES, 2 * count * LANES,
    )  # fmt: skip
    y = both_sides(A, p).transpose(0, 2, 1, 3).reshape(2, 2 * count, LANES)
    assert close(out[..., :lanes], activated(scale * y[..., :lanes] + start))
    assert margins_untouched(out)


@serial_kernel
def results_of_tiles(table, number, count, a, place_stride, scale, start, slope, starts, out, line):
    transforms.transform_results_of_tiles(
        table, number, count, a, 0, place_stride, scale, 0, start, 0, slope, starts, 0, out, 0, line
    )


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("kind", [i for i, runs in enumerate(RUNS) if runs <= LANES])
def test_results_of_tiles(size, kind):
    n, vectors, (*_, A) = size + 1, 2, matrices(size)
    run = LANES // RUNS[kind]
    p, scale, start = numbers(n, n, vectors * LANES), numbers(1), numbers(1, seed=1)
    lines, line = vectors * RUNS[kind], 2 * run
    out = guarded_nans((2 * lines, line), np.float32)
    starts = np.arange(lines) * 2 * line
    number = transform_number(size, RESULTS_OF_TILES + kind)
    results_of_tiles(TABLE, number, vectors, p.reshape(-1), vectors * LANES, scale, start, SLOPE, starts,
                     out.reshape(-1), line)  # fmt: skip
    y = both_sides(A, p).reshape(2, 2, lines, run).transpose(2, 0, 3, 1).reshape(2 * lines, line)
    assert close(out, activated(scale * y + start))
    assert margins_untouched(out)


@serial_kernel
def dy_of_channels(table, number, count, dy, line, column, below, right, out, tile_stride, place_stride):
    transforms.transform_dy_of_channels(
        table, number, count, dy, 0, line, column, below, right, out, 0, tile_stride, place_stride
    )


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_dy_of_channels(size, below, right):
    """What is beyond the last line or column is taken for 0, and is not read."""
    n, count, (*_, A) = size + 1, 2 if right else 1, matrices(size)
    dy = numbers(2, 2 * count, LANES)
    there = dy.copy()
    dy[1:] = dy[1:] if below else np.nan
    dy[:, 1::2] = dy[:, 1::2] if right else np.nan
    there[np.isnan(dy)] = 0
    out = guarded_nans((n * n, count, LANES), np.float32)
    dy_of_channels(
        TABLE, transform_number(size, DY_OF_CHANNELS), count, dy.reshape(-1), 2 * count * LANES, LANES, below,
        right, out.reshape(-1), LANES, count * LANES,
    )  # fmt: skip
    tiles = there.reshape(2, count, 2, LANES).transpose(0, 2, 1, 3)
    assert close(out.reshape(n, n, count, LANES), both_sides(A.T, tiles))
    assert margins_untouched(out)


@serial_kernel
def sums(table, number, count, a, place_stride, out, stride):
    transforms.transform_sums(table, number, count, a, 0, place_stride, out, 0, stride)


@pytest.mark.parametrize("size", ALGORITHMS)
def test_sums(size):
    n, vectors, (_, G, _) = size + 1, 3, matrices(size)
    s, out = numbers(n, n, vectors * LANES), guarded_nans((size, size, vectors * LANES), np.float32)
    number = transform_number(size, SUMS)
    sums(TABLE, number, vectors, s.reshape(-1), vectors * LANES, out.reshape(-1), vectors * LANES)
    assert close(out, both_sides(G.T, s))
    assert margins_untouched(out)


@serial_kernel
def added(table, number, count, a, place_stride, starts, out, line):
    transforms.transform_added(table, number, count, a, 0, place_stride, starts, 0, out, 0, line)


@pytest.mark.parametrize("size", ALGORITHMS)
@pytest.mark.parametrize("kind", [i for i, runs in enumerate(RUNS) if runs <= LANES])
def test_overlapping_tiles_are_added_to_the_pixels(size, kind):
    n, vectors, (B, *_) = size + 1, 2, matrices(size)
    run = LANES // RUNS[kind]
    p, lines, line = numbers(n, n, vectors * LANES), vectors * RUNS[kind], 2 * run + n + LANES
    before = numbers(2 * lines + n, line, seed=1)
    out, starts = guarded(before), np.arange(lines) * 2 * line
    added(TABLE, transform_number(size, ADDED + kind), vectors, p.reshape(-1), vectors * LANES, starts,
          out.reshape(-1), line)  # fmt: skip
    wanted = before.astype(float)
    squares = both_sides(B.T, p).reshape(n, n, lines, run)
    for number, t in itertools.product(range(lines), range(run)):
        wanted[2 * number : 2 * number + n, 2 * t : 2 * t + n] += squares[:, :, number, t]
    assert close(out, wanted)
    assert margins_untouched(out)


@pytest.mark.parametrize(("p", "q"), [(1, 2), (0.5, 1.25)])
def test_any_points_give_an_algorithm(p, q):
    pixels, weights, results = (np.array(matrix, float) for matrix in transforms._five(p, q))
    d, w = np.arange(6.0) ** 2 % 7, np.arange(5) - 1.0
    assert np.allclose(results @ ((weights @ w) * (pixels @ d)), [w @ d[:5], w @ d[1:]])


def test_the_points_are_better_than_small_integers():
    """For 5x5 kernels and in float32, summed over 32 channels."""
    d, w = numbers(6, 6, 500, 32), numbers(5, 5, 500, 32, seed=1)
    exact = sum(w[i, j].astype(float) * d[i : i + 2, j : j + 2] for i in range(5) for j in range(5)).sum(-1)

    def error(algorithm):
        B, G, A = (np.array(matrix, np.float32) for matrix in algorithm)

        def both(matrix, squares):
            return np.einsum("aj...,bj->ab...", np.einsum("ai,ij...->aj...", matrix, squares), matrix)

        return np.sqrt(((both(A, (both(G, w) * both(B, d)).sum(-1)) - exact) ** 2).mean())

    assert error(ALGORITHMS[5]) < 0.8 * error(transforms._five(1, 2))

"""Convolution and its gradients against their definition.

Shapes are drawn so that every algorithm is taken, and every tile, piece, block and chunk is left with a
remainder: lines that fill vectors, half vectors or neither; few and many channels; deep and shallow
sums; groups, strides, paddings, dilations; depthwise.
"""

from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import convolution
from pycaffe_lite.kernels.convolution import Epilogue, Window
from pycaffe_lite.kernels.convolution import blocked as _convolution_forward
from pycaffe_lite.kernels.convolution import few_positions as _convolution_few
from pycaffe_lite.kernels.convolution.winograd import by_tiles as _winograd_tiles
from pycaffe_lite.kernels.convolution.winograd import data_gradient as _winograd_data
from pycaffe_lite.kernels.convolution.winograd import forward as _winograd
from pycaffe_lite.kernels.convolution.winograd import weight_gradient as _winograd_weights
from tests.kernels.convolution.cases import arrays, assert_close, case, definition, outputs_of
from tests.kernels.guarded import guarded, guarded_nans, spoil_scratch
from tests.kernels.threads import same_bits

# Winograd's algorithms and that for few positions leave others to large cases alone.
ALGORITHMS = {
    "best": {},
    "without Winograd": {"ALGORITHMS": {}},
    "neither": {"ALGORITHMS": {}, "MOST_POSITIONS": 0},
}


@contextmanager
def among(name):
    """Leaves fewer algorithms to choose among."""
    limits = {"ALGORITHMS": _winograd, "MOST_POSITIONS": _convolution_few}
    choices = _convolution_forward.best_algorithm, convolution._flipped
    with ExitStack() as stack:
        for limit, value in ALGORITHMS[name].items():
            stack.enter_context(mock.patch.object(limits[limit], limit, value))
        for choice in choices:
            choice.cache_clear()
            stack.callback(choice.cache_clear)
        yield


def pairs_of(numbers):
    return st.tuples(st.sampled_from(numbers), st.sampled_from(numbers))


cases = st.builds(
    case,
    images=st.sampled_from([1, 2, 3, 9]),
    channels=st.sampled_from([1, 2, 3, 5, 17, 40]),
    height=st.integers(1, 20),
    width=st.one_of(st.integers(1, 20), st.sampled_from([28, 33])),
    outputs=st.sampled_from([1, 2, 5, 10, 13, 16, 31, 32, 48, 100]),
    kernel=pairs_of([1, 2, 3, 3, 5]),
    pad=pairs_of([0, 0, 1, 2]),
    stride=pairs_of([1, 1, 2, 3]),
    dilation=pairs_of([1, 1, 2]),
    group=st.sampled_from([1, 1, 2, 3]),
    seed=st.integers(0, 100),
)
depthwise_cases = st.builds(
    case,
    images=st.integers(1, 3),
    channels=st.just(1),
    height=st.integers(1, 40),
    width=st.integers(1, 70),
    outputs=st.integers(1, 2),
    kernel=pairs_of([1, 2, 3, 5]),
    pad=pairs_of([0, 1, 2]),
    stride=pairs_of([1, 2, 3]),
    dilation=pairs_of([1, 2]),
    group=st.integers(2, 9),
    seed=st.integers(0, 100),
)
sizes = st.one_of(st.integers(1, 9), st.integers(1, 70))
small_depthwise_cases = st.builds(
    case,
    images=st.integers(1, 3),
    channels=st.just(1),
    height=sizes,
    width=sizes,
    outputs=st.integers(1, 2),
    kernel=st.sampled_from([3, 5]),
    pad=pairs_of([0, 1, 2, 3, 6]),
    stride=pairs_of([1, 2]),
    group=st.sampled_from([2, 3, 20, 90]),
    seed=st.integers(0, 100),
)
winograd_cases = st.builds(
    case,
    images=st.sampled_from([1, 2, 3, 17]),
    channels=st.one_of(st.integers(16, 70), st.sampled_from([130, 260])),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    outputs=st.sampled_from([16, 32, 48, 64, 80, 112, 160, 20, 24, 25, 50]),
    kernel=st.sampled_from([3, 5]),
    pad=pairs_of([0, 1, 1, 2]),
    group=st.sampled_from([1, 1, 2]),
    seed=st.integers(0, 100),
)
strided_cases = st.builds(
    case,
    images=st.sampled_from([1, 2, 9]),
    channels=st.sampled_from([2, 3, 5]),
    height=st.integers(9, 60),
    width=st.integers(9, 60),
    outputs=st.sampled_from([16, 20, 48, 96]),
    kernel=st.sampled_from([6, 9, 10, 11]),
    pad=pairs_of([0, 1, 2, 5]),
    stride=st.sampled_from([2, 3, 4]),
    group=st.sampled_from([1, 2]),
    seed=st.integers(0, 100),
)
TYPICAL = {
    "caffe1": case(2, 3, 51, 47, 96, 11, stride=4),
    "lenet1": case(2, 1, 28, 28, 20, 5),
    "lenet2": case(9, 20, 12, 12, 50, 5),
    "tiles of several images in a vector": case(8, 20, 10, 10, 50, 5),
    "tiles of several images in a short vector": case(9, 18, 8, 8, 32, 3),
    "vectors of tiles": case(40, 20, 12, 12, 50, 5),
    "vectors of tiles, odd lines": case(9, 33, 13, 15, 20, 3, pad=1, group=2),
    "cifar": case(3, 32, 16, 16, 32, 5, pad=2),
    "odd lines": case(5, 40, 13, 13, 64, 3, pad=1, group=2),
    "three vectors of outputs": case(2, 40, 13, 13, 48, 3, pad=1),
    "many lines of tiles": case(1, 40, 40, 30, 64, 3, pad=1),
    "several images of tiles": case(40, 20, 7, 7, 80, 3, pad=1),
    "blocks of both channels": case(3, 70, 13, 13, 400, 3, pad=1),
    "blocks of outputs": case(2, 24, 9, 9, 400, 3, pad=1),
    "deep": case(1, 300, 7, 7, 48, 3, pad=1),
    "long lines": case(1, 3, 40, 130, 17, 3, pad=1, stride=2),
    "point": case(2, 200, 14, 14, 40, 1),
    "point, one image": case(1, 40, 9, 11, 33, 1),
    "point, one image, groups": case(1, 70, 13, 13, 24, 1, group=2),
    "positions left over": case(1, 370, 7, 7, 40, 1, group=2),
    "positions left over, two images": case(2, 37, 7, 7, 33, 3, pad=1),
    "positions left over, one line": case(1, 270, 14, 14, 50, 1),
    "positions left over, in place": case(1, 45, 14, 14, 70, 1, group=2),
    "point stride": case(2, 70, 15, 15, 33, 1, stride=2),
    "point, large": case(1, 20, 40, 41, 32, 1),
    "few positions": case(1, 16, 3, 3, 500, 3),
    "very few positions": case(1, 130, 5, 5, 40, 3, pad=1),
    "stride 4": case(1, 3, 51, 51, 24, 11, stride=4),
    "stride 4, padded": case(3, 2, 60, 90, 10, 5, pad=3, stride=4),
    "whole image": case(1, 20, 6, 6, 33, 6),
    "whole images": case(12, 20, 6, 5, 33, (6, 5)),
    "many whole images": case(40, 20, 6, 5, 33, (6, 5)),
    "whole images, groups": case(12, 40, 6, 6, 10, 6, group=2),
}
DEPTHWISE = case(2, 1, 30, 30, 1, 3, pad=1, group=20)


def check(case, dtype):
    x, w, dy, bias = arrays(case, dtype)
    # Winograd's algorithm for 5x5 kernels errs by several times what a sum of products does; and its errors
    # are relative to the largest numbers of a tile, also where there is nothing but padding to multiply with.
    size, stride = case["w"][2], case["window"].stride_h
    best = 4 if -(-size // stride) == 5 else 1
    window = case["window"]
    (y, y_bound), (dx, dx_bound), (dw, dw_bound) = definition(x, w, dy, window)
    spoil_scratch(dtype)
    for name in ALGORITHMS:
        errs = best if name == "best" else 1
        bounds = [y_bound, dx_bound, dw_bound]
        if name == "best":
            bounds = [bound.max(axis=(2, 3), keepdims=True, initial=0) for bound in bounds]
        with among(name):
            out = guarded_nans(dy.shape, dtype)
            convolution.forward(guarded(x), guarded(w), bias, out, window)
            assert_close(out, y + bias[:, None, None], bounds[0], errs)
            out = guarded_nans(x.shape, dtype)
            convolution.backward_data(guarded(dy), guarded(w), out, window)
            assert_close(out, dx, bounds[1], errs)
            out = guarded(w)
            convolution.backward_weights(guarded(x), guarded(dy), out, window)
            assert_close(out, w + dw, bounds[2], errs)
            out = guarded_nans(w.shape, dtype)
            convolution.backward_weights(guarded(x), guarded(dy), out, window, accumulate=False)
            assert_close(out, dw, bounds[2], errs)


@settings(deadline=None, max_examples=150)
@given(cases, st.sampled_from([np.float32, np.float64]))
@example(case(2, 3, 0, 4, 5, 1, pad=1), np.float32)  # an image without pixels still has a border
@example(case(9, 17, 3, 28, 13, 5, pad=(1, 0)), np.float32)  # weights that meet nothing but padding
def test_equals_its_definition(case, dtype):
    shape = outputs_of(case)
    assume(min(shape) > 0 and np.prod(shape) * np.prod(case["w"][1:]) < 2e7)
    check(case, dtype)


@settings(deadline=None, max_examples=60)
@given(depthwise_cases, st.sampled_from([np.float32, np.float64]))
@example(DEPTHWISE, np.float32)
def test_depthwise_equals_its_definition(case, dtype):
    assume(min(outputs_of(case)) > 0)
    check(case, dtype)


@settings(deadline=None, max_examples=80)
@given(small_depthwise_cases, st.sampled_from([np.float32, np.float64]))
@example(case(1, 1, 7, 7, 1, 3, pad=1, group=120), np.float32)  # several tasks of several planes
@example(case(2, 1, 500, 7, 2, 3, pad=1, group=2), np.float32)  # short lines, staged in parts
@example(case(1, 1, 1, 1, 1, 3, pad=6, stride=2, group=3), np.float32)  # a pixel and its wide border
@example(case(1, 1, 150, 90, 1, 5, pad=2, stride=2, group=2), np.float32)  # long lines, staged in parts
def test_small_depthwise_equals_its_definition(case, dtype):
    assume(min(outputs_of(case)) > 0)
    check(case, dtype)


@settings(deadline=None, max_examples=80)
@given(winograd_cases, st.sampled_from([np.float32, np.float64]))
def test_winograd_equals_the_definition(case, dtype):
    shape = outputs_of(case)
    assume(min(shape) > 0 and np.prod(shape) * np.prod(case["w"][1:]) < 5e7)
    check(case, dtype)


@settings(deadline=None, max_examples=40)
@given(strided_cases, st.sampled_from([np.float32, np.float64]))
def test_winograd_by_phases_equals_the_definition(case, dtype):
    shape = outputs_of(case)
    assume(min(shape) > 0 and np.prod(shape) * np.prod(case["w"][1:]) < 5e7)
    check(case, dtype)


@pytest.mark.parametrize(
    "usual",
    [
        case(8, 48, 14, 14, 64, 3, pad=1),
        case(8, 32, 16, 16, 32, 5, pad=2),
        case(8, 20, 12, 12, 50, 5),
        case(32, 20, 12, 12, 50, 5),
        case(8, 3, 51, 47, 96, 11, stride=4),
    ],
    ids=["3x3", "5x5", "5x5 without a border", "5x5 with vectors of tiles", "11x11 with stride 4"],
)
def test_usual_layers_go_by_winograds_algorithms(usual):
    x, w, dy, bias = arrays(usual, np.float32)
    ways = (
        (_winograd, "winograd_product"),
        (_winograd_tiles, "product_by_tiles"),
        (_winograd_data, "add_tiles"),
        (_winograd_weights, "accumulate_by_winograd"),
    )
    by_tiles = usual["x"][0] == 32
    with among("best"), ExitStack() as stack:
        product, of_tiles, data, weights = (
            stack.enter_context(mock.patch.object(module, name, wraps=getattr(module, name)))
            for module, name in ways
        )
        convolution.forward(x, w, bias, dy.copy(), usual["window"])
        assert (product.call_count, of_tiles.call_count) == ((0, 1) if by_tiles else (1, 0))
        convolution.backward_data(dy, w, x.copy(), usual["window"])
        both = product.call_count + of_tiles.call_count + data.call_count
        assert both == (2 if usual["window"].stride_h == 1 else 1)
        convolution.backward_weights(x, dy, w.copy(), usual["window"])
        assert weights.call_count == 1


@pytest.mark.parametrize("name", TYPICAL)
def test_typical_layers_equal_their_definition(name):
    check(TYPICAL[name], np.float32)


@pytest.mark.parametrize("name", ["lenet2", "odd lines", "deep", "point", "depthwise"])
@pytest.mark.parametrize("slope", [1.0, 0.0, 0.25])
def test_epilogue_scales_shifts_and_activates(name, slope):
    case = TYPICAL.get(name, DEPTHWISE)
    x, w, dy, bias = arrays(case, np.float32)
    numbers = np.random.default_rng(1)
    scale, shift = numbers.standard_normal((2, len(bias))).astype(np.float32)
    plain, out = np.empty_like(dy), guarded_nans(dy.shape, np.float32)
    convolution.forward(x, w, bias, plain, case["window"])
    convolution.forward(x, w, bias, out, case["window"], Epilogue(scale, shift, slope))
    expected = scale[:, None, None] * plain.astype(float) + shift[:, None, None]
    expected = np.where(expected > 0, expected, slope * expected)
    assert np.allclose(out, expected, rtol=1e-4, atol=1e-4)
    convolution.forward(x, w, None, out, case["window"], Epilogue(np.ones_like(bias), bias, slope))
    expected = np.where(plain > 0, plain, np.float32(slope) * plain)
    assert np.array_equal(out, expected), "an end without a scale has the bits of the separate passes"


@pytest.mark.parametrize("algorithms", ALGORITHMS)
@pytest.mark.parametrize("name", [*TYPICAL, "depthwise"])
def test_same_bits_for_every_number_of_threads(name, algorithms):
    case = TYPICAL.get(name, DEPTHWISE)
    x, w, dy, bias = arrays(case, np.float32)

    def compute():
        y, dx, dw, db = np.empty_like(dy), np.empty_like(x), np.zeros_like(w), np.zeros_like(bias)
        with among(algorithms):
            convolution.forward(x, w, bias, y, case["window"])
            convolution.backward_data(dy, w, dx, case["window"])
        convolution.backward_weights(x, dy, dw, case["window"])
        convolution.backward_bias(dy, db)
        return y, dx, dw, db

    assert same_bits(compute)


@pytest.mark.parametrize("first", [(None, None), (2.0, None), (None, 3.0), (2.0, 3.0)])
@pytest.mark.parametrize("then", [(None, None), (5.0, None), (None, 7.0), (5.0, 7.0)])
def test_an_epilogue_behind_another_scale_and_shift(first, then):
    """then_scale (scale x + shift) + then_shift, in as few steps as there are."""

    def array(value):
        return None if value is None else np.full(3, value, np.float32)

    def applied(x, scale, shift):
        return (1 if scale is None else scale) * x + (0 if shift is None else shift)

    both = Epilogue(array(then[0]), array(then[1]), 0.25).behind(array(first[0]), array(first[1]))
    assert both.slope == 0.25
    for x in (0.0, 1.0, -2.0):
        assert np.all(applied(x, both.scale, both.shift) == applied(applied(x, *first), *then))
    assert (both.scale is None) == (first[0] is None and then[0] is None)
    assert (both.shift is None) == (first[1] is None and then[1] is None)


def test_a_scale_and_a_shift_for_each_channel():
    scale, shift = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    both = Epilogue(shift, scale).behind(scale, shift)
    assert both.scale.tolist() == [4, 10, 18]
    assert both.shift.tolist() == [17, 27, 39]


def test_bias_gradient_adds_up_images_and_positions():
    dy = np.random.default_rng(0).standard_normal((3, 5, 4, 7)).astype(np.float32)
    db = np.ones(5, np.float32)
    convolution.backward_bias(dy, db)
    assert np.allclose(db, 1 + dy.astype(float).sum(axis=(0, 2, 3)), rtol=1e-5)
    lines = np.ones((2, 5, 6), np.float32)  # any number of spatial axes
    convolution.backward_bias(lines, db)
    assert np.allclose(db, 13 + dy.astype(float).sum(axis=(0, 2, 3)), rtol=1e-5)
    convolution.backward_bias(lines, db, accumulate=False)
    assert np.all(db == 12)


@pytest.mark.parametrize("shape", [(0, 3, 5, 5), (2, 3, 0, 5), (2, 3, 5, 0)])
def test_nothing_to_do(shape):
    window = Window(1, 1)
    x, y = np.ones(shape, np.float32), np.ones((shape[0], 4, *shape[2:]), np.float32)
    w, dw, db = (np.ones(size, np.float32) for size in ((4, 3, 1, 1), (4, 3, 1, 1), (4,)))
    convolution.forward(x, w, None, y, window)
    convolution.backward_data(y, w, x, window)
    convolution.backward_weights(x, y, dw, window)
    convolution.backward_bias(y, db)
    assert np.all(dw == 1)
    assert np.all(db == 1)
    convolution.backward_weights(x, y, dw, window, accumulate=False)
    convolution.backward_bias(y, db, accumulate=False)
    assert not dw.any()
    assert not db.any()


def test_gradient_of_an_image_that_nothing_reads_is_zero():
    dx = np.full((2, 3, 4, 4), np.nan, np.float32)
    convolution.backward_data(
        np.ones((2, 5, 0, 2), np.float32), np.ones((5, 3, 9, 3), np.float32), dx, Window(9, 3)
    )
    assert np.all(dx == 0)


@pytest.mark.parametrize(
    ("w", "y", "message"),
    [
        ((4, 3, 3, 3), (1, 4, 3, 3), "weights (4, 3, 3, 3) do not fit an image (1, 2, 5, 5) and {}"),
        ((4, 2, 3, 3), (2, 4, 3, 3), "result (2, 4, 3, 3) does not fit an image (1, 2, 5, 5) and weights {}"),
    ],
)
def test_shapes_that_do_not_fit(w, y, message):
    window, shapes = Window(3, 3), ((1, 2, 5, 5), w, y)
    x, weights, result = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match="convolution") as caught:
        convolution.forward(x, weights, None, result, window)
    assert str(caught.value) == "convolution: " + message.format(window if message.startswith("w") else w)

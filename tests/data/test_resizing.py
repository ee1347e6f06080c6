"""resize_param: interpolations against their definitions, fitting and padding."""

import numpy as np
import pytest

from pycaffe_lite.data import resizing
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2

R = caffe_pb2.ResizeParameter
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 10, 3), np.uint8)


def weights(kernel, reach, source, target):
    """(target, source): the kernel at the distance of each source pixel, with the border repeated."""
    table = np.zeros((target, source))
    for i in range(target):
        place = (i + 0.5) * source / target - 0.5
        for j in range(int(np.floor(place)) - reach + 1, int(np.floor(place)) + reach + 1):
            table[i, min(max(j, 0), source - 1)] += kernel(place - j)
    return table / table.sum(axis=1, keepdims=True)


def cubic(x, a=-0.75):
    x = abs(x)
    return (a + 2) * x**3 - (a + 3) * x**2 + 1 if x <= 1 else a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a


def lanczos(x):
    return np.sinc(x) * np.sinc(x / 4)


@pytest.mark.parametrize(("mode", "kernel", "reach"), [(R.CUBIC, cubic, 2), (R.LANCZOS4, lanczos, 4)])
@pytest.mark.parametrize("size", [(14, 20), (5, 23), (3, 4), (7, 9)])
def test_of_neighbours(mode, kernel, reach, size):
    rows, columns = weights(kernel, reach, 7, size[0]), weights(kernel, reach, 10, size[1])
    wanted = np.einsum("yi,xj,ijc->yxc", rows, columns, PIXELS).clip(0, 255)
    assert np.abs(resizing.scaled(PIXELS, *size, mode) - wanted).max() <= 1


@pytest.mark.parametrize("size", [(7, 5), (3, 4), (1, 1), (5, 9)])
def test_area(size):
    def shares(source, target):
        ends = np.arange(target + 1) * source / target
        j = np.arange(source)
        common = np.minimum(ends[1:, None], j + 1) - np.maximum(ends[:-1, None], j)
        return common.clip(0) * target / source

    wanted = np.einsum("yi,xj,ijc->yxc", shares(7, size[0]), shares(10, size[1]), PIXELS)
    assert np.abs(resizing.scaled(PIXELS, *size, R.AREA) - wanted).max() <= 0.5 + 1e-9


def test_area_of_larger_pictures_repeats_pixels():
    np.testing.assert_array_equal(
        resizing.scaled(PIXELS, 14, 20, R.AREA), PIXELS.repeat(2, axis=0).repeat(2, axis=1)
    )


def test_nearest():
    found = resizing.scaled(PIXELS, 3, 5, R.NEAREST)
    np.testing.assert_array_equal(found, PIXELS[[0, 2, 4]][:, [0, 2, 4, 6, 8]])


@pytest.mark.parametrize(
    ("mode", "size", "inner"),
    [
        (R.WARP, (6, 6), None),
        (R.FIT_SMALL_SIZE, (6, 8), None),
        (R.FIT_LARGE_SIZE_AND_PAD, (6, 6), (4, 6)),
    ],
)
def test_modes(mode, size, inner):
    param = R(height=6, width=6, resize_mode=mode, pad_value=[1, 2, 3])
    found = resizing.resized(PIXELS, param, R.NEAREST)
    assert found.shape == (*size, 3)
    assert resizing.new_size(param, 7, 10) == size
    if inner:
        np.testing.assert_array_equal(found[1:5], resizing.scaled(PIXELS, *inner, R.NEAREST))
        np.testing.assert_array_equal(found[[0, 5]], np.broadcast_to([1, 2, 3], (2, 6, 3)))


@pytest.mark.parametrize(("pad", "row"), [(R.MIRRORED, 1), (R.REPEAT_NEAREST, 0)])
def test_padding_by_pixels(pad, row):
    param = R(height=6, width=6, resize_mode=R.FIT_LARGE_SIZE_AND_PAD, pad_mode=pad)
    found = resizing.resized(PIXELS, param, R.NEAREST)
    np.testing.assert_array_equal(found[0], found[1 + row])


def test_pad_values_of_another_number():
    param = R(height=6, width=6, resize_mode=R.FIT_LARGE_SIZE_AND_PAD, pad_value=[1, 2])
    with pytest.raises(DataError, match=r"^resize_param needs no pad_value, 1 or 3, got 2$"):
        resizing.resized(PIXELS, param, R.NEAREST)

"""Which values a window covers, by counting."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.pooling.windows import covering, divided_length, planes_of_part, span, through_slope

# kernel, pad, stride, size
AXES = list(itertools.product((1, 2, 3, 5), (0, 1, 2), (1, 2, 3), (1, 4, 7)))


def places(o, kernel, pad, stride):
    """All places of window o, whether there are values or not."""
    return range(o * stride - pad, o * stride - pad + kernel)


def numbers_between(bounds):
    return list(range(*bounds))


@pytest.mark.parametrize(("kernel", "pad", "stride", "size"), AXES)
def test_values_under_a_window(kernel, pad, stride, size):
    for o in range(6):
        there = [at for at in places(o, kernel, pad, stride) if 0 <= at < size]
        assert numbers_between(span.py_func(o, kernel, pad, stride, size)) == there


@pytest.mark.parametrize(("kernel", "pad", "stride", "size"), AXES)
def test_a_mean_divides_by_values_and_padding(kernel, pad, stride, size):
    for o in range((size + 2 * pad - 1) // stride + 1):
        padded = [at for at in places(o, kernel, pad, stride) if at < size + pad]
        assert divided_length.py_func(o, kernel, pad, stride, size) == len(padded)


@pytest.mark.parametrize(("kernel", "pad", "stride", "size"), AXES)
@pytest.mark.parametrize("outputs", [1, 3, 6])
def test_windows_over_a_value(kernel, pad, stride, size, outputs):
    for h in range(size):
        over = [o for o in range(outputs) if h in places(o, kernel, pad, stride)]
        assert numbers_between(covering.py_func(h, kernel, pad, stride, outputs)) == over


@pytest.mark.parametrize(("parts", "planes"), [(1, 1), (3, 3), (64, 150), (5, 13)])
def test_parts_cover_all_planes_once(parts, planes):
    shares = [numbers_between(planes_of_part.py_func(part, parts, planes)) for part in range(parts)]
    assert list(itertools.chain(*shares)) == list(range(planes))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_gradients_go_through_the_slope_where_values_are_not_positive():
    dx, values = np.arange(1.0, 6), np.array([9, -1, 0, 2, -3.0])
    through_slope.py_func(dx, 1, 3, values, 0.5)
    assert dx.tolist() == [1, 1, 1.5, 4, 5]
    through_slope.py_func(dx, 0, 5, values[:0], 0.5)
    assert dx.tolist() == [1, 1, 1.5, 4, 5]

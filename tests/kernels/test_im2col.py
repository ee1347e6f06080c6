"""Column transform of any number of axes against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels.im2col import Axes, col2im, im2col
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

axis = st.tuples(
    st.integers(0, 7), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.integers(1, 2)
)


def definition(x, kernel, pad, stride, dilation, out):
    """col by a loop over all its elements."""
    col = np.zeros((len(x) * int(np.prod(kernel)), *out), x.dtype)
    for row, (c, *offset) in enumerate(np.ndindex(len(x), *kernel)):
        for place in np.ndindex(*out):
            parts = zip(place, stride, pad, offset, dilation, strict=True)
            at = tuple(o * s - p + i * d for o, s, p, i, d in parts)
            if all(0 <= s < size for s, size in zip(at, x.shape[1:], strict=True)):
                col[(row, *place)] = x[(c, *at)]
    return col


@settings(deadline=None, max_examples=60)
@given(st.lists(axis, min_size=1, max_size=3), st.integers(1, 3), st.sampled_from([np.float32, np.float64]))
def test_equals_its_definition(spatial, channels, dtype):
    sizes, kernel, pad, stride, dilation = zip(*spatial, strict=True)
    out = [
        max(0, (size + 2 * p - d * (k - 1) - 1) // s + 1)
        for size, k, p, s, d in zip(sizes, kernel, pad, stride, dilation, strict=True)
    ]
    x = np.random.default_rng(0).standard_normal((channels, *sizes)).astype(dtype)
    axes = Axes.of(kernel, pad, stride, dilation)
    expected = definition(x, kernel, pad, stride, dilation, out)
    col = guarded_nans(expected.shape, dtype)
    im2col(guarded(x), axes, col)
    assert np.array_equal(col, expected)
    assert margins_untouched(col)
    # col2im is the transposed map: <col, im2col(x)> = <col2im(col), x>
    weights = np.random.default_rng(1).standard_normal(col.shape).astype(dtype)
    back = guarded_nans(x.shape, dtype)
    col2im(guarded(weights), axes, back)
    assert np.vdot(weights, col) == pytest.approx(np.vdot(back, x), rel=1e-3, abs=1e-3)
    assert margins_untouched(back)

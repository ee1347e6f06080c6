"""Views of blobs against NumPy's transpositions and reshapes."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pycaffe_lite.export.importing.values import View, permutation_of


@st.composite
def chains(draw):
    """A shape, and transpositions and reshapes one after another."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    steps, rank, size = [], len(shape), math.prod(shape)
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            steps.append(("transpose", draw(st.permutations(range(rank)))))
        else:
            rest, dims = size, []
            while rest > 1 and len(dims) < 4:
                divisors = [n for n in range(1, rest + 1) if rest % n == 0]
                dims.append(draw(st.sampled_from(divisors)))
                rest //= dims[-1]
            dims.append(rest)
            steps.append(("reshape", dims))
            rank = len(dims)
    return tuple(shape), steps


@given(chains())
def test_a_view_goes_through_the_blob_as_numpy_does(chain):
    shape, steps = chain
    blob = np.arange(math.prod(shape)).reshape(shape)
    view, array = View.of("x", shape), blob
    for name, argument in steps:
        if name == "transpose":
            view, array = view.transposed(argument), array.transpose(argument)
        else:
            reshaped = view.reshaped(argument)
            if reshaped is None:
                break
            view, array = reshaped, array.reshape(argument)
    assert view.shape == array.shape
    np.testing.assert_array_equal(view.from_storage(blob), array)
    np.testing.assert_array_equal(view.to_storage(array).reshape(shape), blob)
    assert view.is_plain == np.array_equal(array.ravel(), blob.ravel())
    dims, order = permutation_of(view)
    np.testing.assert_array_equal(blob.reshape(dims).transpose(order).ravel(), array.ravel())


def test_what_no_view_has():
    view = View.of("x", (2, 3)).transposed((1, 0))
    assert view.reshaped((6,)) is not None
    assert view.reshaped((2, 3)) is None
    assert View.of("x", (2, 3)).reshaped((3, 2)) is not None

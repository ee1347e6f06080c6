"""The matrix product against its definition, for sizes that leave every kind of remainder."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.products.long import LONG
from pycaffe_lite.kernels.products.stream import MOST_ROWS
from pycaffe_lite.kernels.runtime.memory import aligned_zeros
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched, spoil_scratch
from tests.kernels.threads import same_bits

sizes = st.one_of(st.integers(1, 40), st.sampled_from([64, 97, 128, 250, 300, 513]))
cases = st.fixed_dictionaries(
    {
        "M": sizes,
        "N": sizes,
        "K": sizes,
        "trans_a": st.booleans(),
        "trans_b": st.booleans(),
        "beta": st.sampled_from([0.0, 1.0, -0.5]),
        "dtype": st.sampled_from([np.float32, np.float64]),
        "seed": st.integers(0, 100),
    }
)


def operands(case):
    numbers = np.random.default_rng(case["seed"])
    M, N, K = case["M"], case["N"], case["K"]
    a = numbers.standard_normal((K, M) if case["trans_a"] else (M, K)).astype(case["dtype"])
    b = numbers.standard_normal((N, K) if case["trans_b"] else (K, N)).astype(case["dtype"])
    return a, b, numbers.standard_normal((M, N)).astype(case["dtype"])


@settings(deadline=None, max_examples=100)
@given(cases)
@example(
    {
        "M": 64,
        "N": 500,
        "K": 800,
        "trans_a": False,
        "trans_b": True,
        "beta": 0.0,
        "dtype": np.float32,
        "seed": 0,
    }
)
@example(
    {
        "M": 500,
        "N": 800,
        "K": 64,
        "trans_a": True,
        "trans_b": False,
        "beta": 1.0,
        "dtype": np.float32,
        "seed": 0,
    }
)
@example(
    {
        "M": 3,
        "N": 1030,
        "K": 2100,
        "trans_a": False,
        "trans_b": True,
        "beta": 1.0,
        "dtype": np.float64,
        "seed": 0,
    }
)
@example(
    {
        "M": 300,
        "N": 1021,
        "K": 300,
        "trans_a": False,
        "trans_b": False,
        "beta": 1.0,
        "dtype": np.float32,
        "seed": 0,
    }
)
def test_equals_its_definition(case):
    a, b, c = operands(case)
    left, right = (m.T if t else m for m, t in ((a, case["trans_a"]), (b, case["trans_b"])))
    expected = left.astype(float) @ right + case["beta"] * c
    bound = abs(left.astype(float)) @ abs(right) + abs(c)
    out = guarded(c) if case["beta"] else guarded_nans(c.shape, c.dtype)
    spoil_scratch(c.dtype)
    gemm(guarded(a), guarded(b), out, case["trans_a"], case["trans_b"], case["beta"])
    assert np.all(abs(out - expected) <= 16 * np.finfo(c.dtype).eps * bound)
    assert margins_untouched(out)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("M", "N", "K"), [(1, 1041, 300), (16, 513, 611), (31, 1100, 259), (32, 96, 3001)])
def test_few_rows_times_a_matrix_larger_than_the_caches(M, N, K, dtype, beta):
    case = {"M": M, "N": N, "K": K, "trans_a": False, "trans_b": False, "dtype": dtype, "seed": M}
    a, b, c = operands(case)
    expected = a.astype(float) @ b + beta * c
    bound = abs(a.astype(float)) @ abs(b) + abs(c)
    out = guarded(c) if beta else guarded_nans(c.shape, dtype)
    spoil_scratch(dtype)
    gemm(guarded(a), guarded(b), out, beta=beta)
    assert np.all(abs(out - expected) <= 16 * np.finfo(dtype).eps * bound)
    assert margins_untouched(out)


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize(("M", "N", "K"), [(1400, 1536, 16), (2100, 1013, 5)])
def test_shallow_product_larger_than_the_caches(M, N, K, beta, offset):
    """As the gradient of an inner product's weights; with an offset C is not aligned to vectors."""
    numbers = np.random.default_rng(K)
    a, b = (numbers.standard_normal((K, size)).astype(np.float32) for size in (M, N))
    out = aligned_zeros(M * N + offset, np.float32)[offset:].reshape(M, N)
    out[...] = numbers.standard_normal((M, N))
    expected = a.T.astype(float) @ b + beta * out
    gemm(a, b, out, trans_a=True, beta=beta)
    assert np.allclose(out, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("M", [7, 130])
@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_same_bits_for_every_number_of_threads(trans_a, trans_b, M):
    a, b, _ = operands(
        {"M": M, "N": 530, "K": 700, "trans_a": trans_a, "trans_b": trans_b, "dtype": np.float32, "seed": 1}
    )

    def compute():
        c = np.ones((M, 530), np.float32)
        gemm(a, b, c, trans_a, trans_b, 1.0)
        return [c]

    assert same_bits(compute)


@pytest.mark.parametrize(
    ("M", "N", "trans_a", "piece"),
    [(3, 2, False, LONG), (40, 2, False, LONG), (3, 2, True, LONG), (3, 22, False, MOST_ROWS)],
)
def test_long_sums_are_added_up_in_float64(M, N, trans_a, piece):
    """2^24 + 1 - 2^24, each from pieces of its own: in float32 the 1 would be lost."""
    a, b = np.zeros((M, 3 * piece), np.float32), np.ones((3 * piece, N), np.float32)
    a[:, :piece], a[:, piece], a[:, 2 * piece :] = 2**24 / piece, 1, -(2**24) / piece
    c = np.empty((M, N), np.float32)
    gemm(np.ascontiguousarray(a.T) if trans_a else a, b, c, trans_a)
    assert np.all(c == 1)


@pytest.mark.parametrize(("M", "N", "K"), [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty_operands(M, N, K):
    c = np.full((M, N), np.nan, np.float32)
    gemm(np.ones((M, K), np.float32), np.ones((K, N), np.float32), c)
    assert np.array_equal(c, np.zeros((M, N)))
    c.fill(3)
    gemm(np.ones((M, K), np.float32), np.ones((K, N), np.float32), c, beta=1.0)
    assert np.array_equal(c, np.full((M, N), 3))


def test_shapes_that_do_not_multiply():
    a, b, c = (np.zeros(shape, np.float32) for shape in ((2, 3), (4, 5), (2, 5)))
    with pytest.raises(ValueError, match="gemm") as caught:
        gemm(a, b, c, trans_b=True)
    assert str(caught.value) == "gemm: shapes (2, 3) and (4, 5) do not multiply to (2, 5)"

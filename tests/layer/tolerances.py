"""How far results may be from what they should be: the one place where tests say so.

Every bound is relative to the largest magnitude of the array that is right, plus a little: where sums cancel,
the relative error of a single element means nothing.
"""

import numpy as np

# Against numbers recorded from Caffe: Caffe with another BLAS differs from itself by 8e-7.
GOLDEN_RELATIVE, GOLDEN_ABSOLUTE = 1e-5, 1e-6

# Against a float64 reference, by the type that the layer ran in.
REFERENCE_RELATIVE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
REFERENCE_ABSOLUTE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}

# A float32 gradient against the float64 one.
GRADIENT_RELATIVE, GRADIENT_ABSOLUTE = 1e-4, 1e-5


def assert_close(got, right, relative, absolute, what):
    """max |got - right| <= relative * max |right| + absolute; NaN and infinities must be the same."""
    got, right = np.asarray(got), np.asarray(right)
    assert got.shape == right.shape, f"{what}: shape {got.shape}, should be {right.shape}"
    finite = np.isfinite(right)
    assert np.array_equal(got[~finite], right[~finite], equal_nan=True), f"{what}: NaN or infinity differ"
    if not finite.any():
        return
    difference = np.abs(got[finite].astype(np.float64) - right[finite])
    bound = relative * np.abs(right[finite]).max() + absolute
    worst = difference.max()
    assert worst <= bound, (
        f"{what}: differs by {worst:.3g}, allowed are {bound:.3g}; got {got[finite][difference.argmax()]!r}, "
        f"should be {right[finite][difference.argmax()]!r}"
    )


def assert_golden(got, golden, what):
    """Against what Caffe recorded."""
    assert_close(got, golden, GOLDEN_RELATIVE, GOLDEN_ABSOLUTE, what)


def assert_reference(got, right, what):
    """A top against its float64 reference."""
    dtype = np.asarray(got).dtype
    assert_close(got, right, REFERENCE_RELATIVE[dtype], REFERENCE_ABSOLUTE[dtype], what)


def assert_gradient(got, right, what):
    """A float32 gradient against the float64 one."""
    assert_close(got, right, GRADIENT_RELATIVE, GRADIENT_ABSOLUTE, what)

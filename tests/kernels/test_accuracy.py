"""The counts of correct labels against plain loops, with ties."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.kernels import accuracy

shapes = st.tuples(st.integers(1, 4), st.integers(1, 20), st.sampled_from([1, 2, 7, 255, 256, 257, 600]))


@settings(deadline=None, max_examples=30)
@given(shapes, st.integers(1, 3))
def test_accuracy(shape, top_k):
    N, C, inner = shape
    x = np.random.default_rng(0).integers(3, size=shape).astype(np.float32)
    label = np.random.default_rng(1).integers(-1, C, (N, inner)).astype(np.int32)
    correct, counted = np.full(C, 9), np.full(C, 9)
    accuracy.count(x, label, top_k, correct, counted)
    right, seen = np.zeros(C, int), np.zeros(C, int)
    for n, i in np.ndindex(N, inner):
        if (at := label[n, i]) >= 0:
            seen[at] += 1
            right[at] += (x[n, :, i] >= x[n, at, i]).sum() - 1 < top_k
    assert correct.tolist() == right.tolist()
    assert counted.tolist() == seen.tolist()


def test_nan_as_the_labels_score_counts_as_correct():
    x = np.array([[[np.nan], [1.0], [2.0]]])
    correct, counted = np.empty(3, np.int64), np.empty(3, np.int64)
    for label, hits in ((0, 1), (1, 0), (2, 1)):
        accuracy.count(x, np.full((1, 1), label, np.int32), 1, correct, counted)
        assert correct.sum() == hits

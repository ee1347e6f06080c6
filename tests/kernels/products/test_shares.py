"""How long threads take for tasks of known sizes."""

import itertools

import numpy as np
import pytest

from pycaffe_lite.kernels.products.shares import longest_share, pieces


@pytest.mark.parametrize(
    ("whole", "most", "sizes"), [(12, 4, [4, 4, 4]), (10, 4, [4, 4, 2]), (3, 5, [3]), (1, 1, [1]), (0, 4, [])]
)
def test_only_the_last_piece_may_be_smaller(whole, most, sizes):
    assert pieces(whole, most) == sizes


@pytest.mark.parametrize(
    ("sizes", "threads", "end"),
    [
        ([], 2, 0),
        ([3, 1, 2], 1, 6),
        ([5], 3, 5),
        ([4, 4, 4], 2, 8),
        ([1, 1, 1, 1], 2, 2),
        # the second thread is done at 2 and takes what the first one has left
        ([3, 1, 1, 1], 2, 3),
        ([5, 5, 1, 1], 2, 7),
        # the first thread takes the rest of the second one's share, not of the third one's
        ([1, 4, 4, 2, 2], 3, 5),
    ],
)
def test_the_last_thread_is_done(sizes, threads, end):
    assert longest_share(sizes, threads) == end


def test_no_schedule_beats_the_mean_or_the_largest_task():
    numbers = np.random.default_rng(0)
    for threads, count in itertools.product((1, 2, 3, 8), (1, 2, 5, 20)):
        sizes = numbers.integers(1, 100, count).tolist()
        end = longest_share(sizes, threads)
        assert max(max(sizes), sum(sizes) / threads) <= end <= sum(sizes)

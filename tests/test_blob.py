"""A blob's memory: shared; a gradient that is cleared without being written, and added to."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pycaffe_lite import blob as blob_module
from pycaffe_lite.blob import Blob, Changes


def test_a_cleared_diff_is_zero():
    blob = Blob((2, 3))
    blob.diff[...] = 5
    blob.clear_diff()
    assert not blob.diff.any()
    blob.diff[...] = 1
    assert blob.diff.all(), "it is cleared once"


@pytest.mark.parametrize("clear", [False, True])
def test_a_gradient_is_added_to_what_is_there(clear):
    blob = Blob((2, 3))
    blob.diff[...] = 5
    if clear:
        blob.clear_diff()
    diff, holds_some = blob.diff_to_add()
    assert holds_some != clear
    np.add(diff, 2, out=diff) if holds_some else np.copyto(diff, 2)
    assert np.all(blob.diff == (2 if clear else 7))
    assert blob.diff_to_add()[1], "what was written counts"


def test_nothing_is_in_a_new_diff():
    diff, holds_some = Blob((2, 3)).diff_to_add()
    assert not holds_some
    assert diff.shape == (2, 3)


def test_blobs_that_share_a_diff_are_cleared_together():
    one, other = Blob((2, 3)), Blob((3, 2))
    other.share_diff(one)
    one.diff[...] = 5
    other.clear_diff()
    assert not one.diff.any()
    one.diff[...] = 4
    assert np.all(other.diff == 4)


def test_clearing_a_shrunken_blob_leaves_the_rest_alone():
    blob, rest = Blob((2, 3)), Blob((6,))
    rest.share_diff(blob)
    rest.diff[...] = 5
    blob.reshape(2)
    blob.clear_diff()
    assert not blob.diff.any()
    assert blob.diff_to_add()[1]
    assert np.array_equal(rest.diff, [0, 0, 5, 5, 5, 5])


def test_changes_of_shape_and_memory_are_counted():
    one, other = Blob((2, 3)), Blob((6,))
    counted, changes = Changes(), []
    other.count_changes_in(counted)
    for change in (
        lambda: other.share_data(one),
        lambda: other.share_data(one),
        lambda: other.share_diff(one),
        lambda: other.share_diff(one),
        lambda: other.reshape(2, 3),
        lambda: other.reshape((2, 3)),
    ):
        before = counted.number
        change()
        one.reshape(3, 2)
        one.reshape(2, 3)  # what another blob does is not counted
        changes.append(counted.number != before)
    assert changes == [True, False] * 3


def test_a_diff_is_shared_with_a_blob_that_has_more_data_than_diff():
    large, small, last = Blob((6,)), Blob((2,)), Blob((6,))
    large.reshape(2)
    small.share_data(large)  # which has room for 6
    small.reshape(6)
    last.share_diff(small)
    small.diff[...] = 5
    assert np.all(last.diff == 5)


def test_blobs_in_two_threads_that_share_untouched_data(monkeypatch):
    def slowly(count, dtype):
        time.sleep(0.05)
        return np.zeros(count, dtype)

    monkeypatch.setattr(blob_module, "aligned_zeros", slowly)
    first, second = Blob((2, 3)), Blob((2, 3))
    second.share_data(first)
    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(lambda blob: blob.data, (first, second))
    assert np.shares_memory(a, b)


def test_diffs_in_a_row():
    """They are views of one array, each group's at a multiple of the alignment; clearing stays lazy."""
    first, second, sharer = Blob((2, 3)), Blob((5,)), Blob((5,))
    sharer.share_diff(second)
    changes = Changes()
    first.count_changes_in(changes)
    before = changes.number
    whole, places = Blob.put_diffs_in_a_row([[first], [second, sharer]], 4)
    assert changes.number > before
    assert places == [slice(0, 6), slice(8, 13)]
    first.diff[...] = 1
    sharer.diff[...] += 2
    assert whole.tolist() == [1] * 6 + [0] * 2 + [2] * 5 + [0] * 3
    second.clear_diff()
    assert second.diff_is_clear
    second.finish_clearing()
    assert whole.tolist() == [1] * 6 + [0] * 10
    assert first.diff.shape == (2, 3)

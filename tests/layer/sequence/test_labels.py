"""Rows of labels with blanks among them."""

import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.sequence.labels import labels_without_blanks, merged


def blob(values):
    made = Blob(np.shape(values), np.float32)
    made.data[...] = values
    return made


def test_blanks_anywhere_are_passed_over():
    rows, lengths = labels_without_blanks(None, blob([[3, 1, 1, 2], [1, 3, 2, 1], [1, 1, 1, 1]]), 1, 4)
    assert lengths.tolist() == [2, 2, 0]
    assert [row[:n].tolist() for row, n in zip(rows, lengths, strict=True)] == [[3, 2], [3, 2], []]


def test_a_blank_beyond_the_classes_is_a_blank():
    rows, lengths = labels_without_blanks(None, blob([[-1, 2]]), -1, 3)
    assert (rows[0, 0], lengths.tolist()) == (2, [1])


def test_no_rows():
    rows, lengths = labels_without_blanks(None, blob(np.zeros((0, 3))), 0, 3)
    assert (rows.shape, lengths.shape) == ((0, 3), (0,))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ([0, 0, 0], []),
        ([1, 1, 0, 1, 2, 2], [1, 1, 2]),
        ([2], [2]),
        ([0, 1, 0], [1]),
        ([1, 2, 1], [1, 2, 1]),
    ],
)
def test_what_steps_say(said, means):
    assert merged(np.array(said), 0).tolist() == means

"""Labels read from floats: fractions, ignored labels, and what is no class."""

import numpy as np

from pycaffe_lite.kernels import labels


def test_labels():
    def read(values, ignored):
        out, found = np.full(4, 9, np.int32), np.full(3, 9)
        labels.read(np.array(values, np.float32), 5, ignored, out, found)
        return out.tolist(), found.tolist()

    assert read([0, 4, 2, 255], 255) == ([0, 4, 2, -1], [3, -1, -1])
    assert read([0, 4, 2, 0], 0) == ([-1, 4, 2, -1], [2, -1, -1])
    assert read([0, 4, 2, 255], None)[1] == [4, 3, -1]
    assert read([0.9, -0.9, 4.5, 2], None) == ([0, 0, 4, 2], [4, -1, 0])
    assert read([1, 255.5, 254.9, 5.5], 255) == ([1, -1, -1, -1], [3, 2, 1])
    assert read([1, -1.5, 3, 3], -1) == ([1, -1, 3, 3], [3, -1, 1])
    for bad in (5, -1, 5.5, -1.5, np.nan, np.inf, -np.inf, 1e30):
        assert read([1, bad, 2, bad], 2)[1][1] == 1

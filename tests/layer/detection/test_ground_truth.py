import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.detection.ground_truth import ground_truth, shape_of_rows

ROWS = np.array(
    [
        [1, 2, 0, 0.1, 0.2, 0.3, 0.4, 0],
        [-1, -1, -1, -1, -1, -1, -1, -1],
        [0, 1, 0, 0.5, 0.5, 0.6, 0.6, 1],
        [1, 1, 0, 0.7, 0.7, 0.8, 0.8, 0],
    ]
)


def blob(values):
    made = Blob((1, 1, *np.shape(values)), np.float32)
    made.data[...] = values
    return made


def test_image_by_image():
    truth = ground_truth(blob(ROWS), 3, with_difficult=True)
    assert truth.images.tolist() == [0, 1, 1]
    assert truth.classes.tolist() == [1, 2, 1]
    assert truth.starts.tolist() == [0, 1, 3, 3]
    assert truth.counts.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(truth.boxes, ROWS[[2, 0, 3], 3:7].astype(np.float32))


def test_without_difficult_ones():
    truth = ground_truth(blob(ROWS), 2, with_difficult=False)
    assert (truth.images.tolist(), truth.starts.tolist()) == ([1, 1], [0, 0, 2])


def test_of_one_class():
    truth, places = ground_truth(blob(ROWS), 2, with_difficult=True).of_class(1)
    assert truth.images.tolist() == [0, 1]
    assert places.tolist() == [0, 1]
    assert truth.starts.tolist() == [0, 1, 2]


@pytest.mark.parametrize("rows", [ROWS[1:2], np.zeros((0, 8))])
def test_none(rows):
    truth = ground_truth(blob(rows), 2, with_difficult=True)
    assert (len(truth.boxes), truth.starts.tolist()) == (0, [0, 0, 0])


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 8), (1, 1, 4, 8)), ((8,), (1, 1, 1, 8)), ((1, 1, 2, 8), (1, 1, 2, 8))]
)
def test_shape_of_rows(shape, expected):
    assert tuple(shape_of_rows(Blob(shape, np.float32))) == expected

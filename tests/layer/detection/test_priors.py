"""The bottoms of layers that work on prior boxes."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels import boxes
from pycaffe_lite.layer.detection.priors import priors_of

OUTPUT = 'type: "DetectionOutput" detection_output_param { num_classes: 3 '


def blob(values):
    made = Blob(np.shape(values), np.float32)
    made.data[...] = values
    return made


def test_what_a_blob_holds():
    values = np.arange(16.0).reshape(1, 2, 8)
    priors = priors_of(blob(values), boxes.CORNER, encoded=False)
    np.testing.assert_array_equal(priors.boxes, [[[0, 1, 2, 3], [4, 5, 6, 7]]])
    np.testing.assert_array_equal(priors.variances, [[8, 9, 10, 11], [12, 13, 14, 15]])
    offsets = np.full((2, 2, 1, 4), 0.5, np.float32)
    np.testing.assert_array_equal(priors.decode(offsets)[1, 1, 0], [4 + 6, 5 + 6.5, 6 + 7, 7 + 7.5])


def test_priors_that_are_moved_first():
    values = np.array([[[0, 0, 2, 2], [1, 1, 1, 1]]], np.float32).reshape(1, 2, 4)
    priors = priors_of(blob(values), boxes.CORNER, encoded=False)
    offsets = np.array([[[1, 2, 3, 4]], [[0, 0, 0, 1]]], np.float32)
    moved = priors.moved(offsets)
    np.testing.assert_array_equal(moved.boxes, [[[1, 2, 5, 6]], [[0, 0, 2, 3]]])
    own, variances = moved.of(np.array([1, 0]), np.array([0, 0]))
    np.testing.assert_array_equal(own, [[0, 0, 2, 3], [1, 2, 5, 6]])
    np.testing.assert_array_equal(variances, np.ones((2, 4)))
    own, _ = priors.of(np.array([1]), np.array([0]))
    np.testing.assert_array_equal(own, [[0, 0, 2, 2]])


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ("", [(2, 8), (2, 6), (1, 1, 8)], "needs prior boxes of shape (1, 2, 4 P), got (1, 1, 8)"),
        ("", [(2, 8), (2, 6), (2, 2, 8)], "needs prior boxes of shape (1, 2, 4 P), got (2, 2, 8)"),
        ("", [(2, 8), (2, 6), (1, 2, 7)], "needs prior boxes of shape (1, 2, 4 P), got (1, 2, 7)"),
        (
            "",
            [(2, 9), (2, 6), (1, 2, 8)],
            "needs 4 offsets for each of 2 prior boxes, 8 values per image, got shape (2, 9)",
        ),
        (
            "share_location: false",
            [(2, 8), (2, 6), (1, 2, 8)],
            "needs 4 offsets for each of 2 prior boxes and 3 classes, 24 values per image, got shape (2, 8)",
        ),
        (
            "",
            [(2, 8), (2, 4), (1, 2, 8)],
            "needs 3 scores for each of 2 prior boxes, 6 values per image, got shape (2, 4)",
        ),
        ("", [(2, 8), (1, 6), (1, 2, 8)], "needs as many images in both, got shapes (2, 8) and (1, 6)"),
        (
            "",
            [(2, 8), (2, 6), (1, 2, 8), (2, 3)],
            "needs 2 values for each of 2 prior boxes, got shape (2, 3)",
        ),
        (
            "",
            [(2, 8), (2, 6), (1, 2, 8), (2, 4), (2, 4)],
            "needs 4 values for each of 2 prior boxes, got shape (2, 4)",
        ),
    ],
)
def test_shapes_that_do_not_fit(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(f"{OUTPUT} {options} }}", [np.zeros(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (DetectionOutput): {message}"

import logging
import sys

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.loss.labels import LabelReader


@pytest.fixture
def layer():
    return build_layer('name: "r" type: "ReLU"', [[1.0]]).layer


def blob_of(values):
    blob = Blob(np.shape(values))
    blob.data[...] = values
    return blob


def test_labels_are_read_flat(layer):
    reader = LabelReader(layer, None)
    labels = reader.read(blob_of([[0, 2], [1, 4]]), 5)
    assert labels.dtype == np.int32
    assert labels.tolist() == [0, 2, 1, 4]
    assert reader.counted == 4
    assert np.shares_memory(labels, reader.read(blob_of([[3, 3], [3, 3]]), 5))


@pytest.mark.parametrize("ignored", [1, -1, 255])
def test_an_ignored_label_stands_as_minus_1_and_does_not_count(layer, ignored):
    reader = LabelReader(layer, ignored)
    assert reader.read(blob_of([0, ignored, 2, ignored]), 3).tolist() == [0, -1, 2, -1]
    assert reader.counted == 2


def error_of(reader, values, classes=3):
    with pytest.raises(LayerError) as error:
        reader.read(blob_of(values), classes)
    return str(error.value)


def test_what_is_no_class(layer):
    assert error_of(LabelReader(layer, None), [[0, 1], [7, 9]]) == (
        "layer 'r' (ReLU): label 7 at (1, 0) is out of range: 3 classes, 0 to 2; set ignore_label to skip it"
    )
    assert error_of(LabelReader(layer, 255), [-1]).endswith("3 classes, 0 to 2; ignore_label is 255")
    assert error_of(LabelReader(layer, None, can_ignore=False), [1], 1).endswith("out of range: 1 class, 0")
    assert "label nan at (0,)" in error_of(LabelReader(layer, None), [np.nan])


def test_the_check_may_come_later(layer):
    reader, bad = LabelReader(layer, None), blob_of([0, 5])
    assert reader.start(bad, 3).tolist() == [0, -1]
    with pytest.raises(LayerError, match="label 5 at"):
        reader.check(bad, 3)


def test_a_label_with_a_fraction_is_cut_and_told_of_once(layer, caplog):
    caplog.set_level(logging.WARNING)
    reader = LabelReader(layer, None)
    for _ in range(2):
        assert reader.read(blob_of([1, 1.9, -0.5]), 3).tolist() == [1, 1, 0]
    assert caplog.messages == [
        "layer 'r' (ReLU): label 1.9 at (1,) is cut to a whole number, as in Caffe; others like it are not "
        "mentioned"
    ]


def test_a_reader_does_not_keep_its_layer_alive(layer):
    before = sys.getrefcount(layer)
    LabelReader(layer, None)
    assert sys.getrefcount(layer) == before

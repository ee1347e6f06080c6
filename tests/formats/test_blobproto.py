import numpy as np
import pytest

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats.blobproto import array_of, shape_of
from pycaffe_lite.proto import caffe_pb2

BlobProto, BlobShape = caffe_pb2.BlobProto, caffe_pb2.BlobShape


@pytest.mark.parametrize(
    ("blob", "shape"),
    [
        (BlobProto(shape=BlobShape(dim=[2, 3])), (2, 3)),
        (BlobProto(), ()),
        (BlobProto(num=1, channels=2, height=3, width=4), (1, 2, 3, 4)),
        (BlobProto(width=4), (0, 0, 0, 4)),
        (BlobProto(num=2, channels=3, height=1, width=1, shape=BlobShape(dim=[6])), (2, 3, 1, 1)),
    ],
)
def test_shapes(blob, shape):
    assert shape_of(blob) == shape


def test_values_in_their_shape():
    blob = BlobProto(shape=BlobShape(dim=[2, 2]), data=[1, 2, 3, 0.1])
    np.testing.assert_array_equal(array_of(blob), np.array([[1, 2], [3, 0.1]], np.float32), strict=True)


def test_doubles_count_before_floats():
    blob = BlobProto(shape=BlobShape(dim=[2]), data=[1, 2], double_data=[0.1, 0.2])
    np.testing.assert_array_equal(array_of(blob), np.array([0.1, 0.2]), strict=True)


def test_another_number_of_values():
    with pytest.raises(WeightsError, match=r"a blob of shape \(2, 3\) holds 5 values, needs 6$"):
        array_of(BlobProto(shape=BlobShape(dim=[2, 3]), data=[0] * 5))

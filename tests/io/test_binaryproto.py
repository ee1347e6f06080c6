"""Mean files."""

from pathlib import Path

import numpy as np
import pytest

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.io import binaryproto
from pycaffe_lite.proto import caffe_pb2

CAFFES = Path(__file__).parent.parent / "data" / "db" / "mean.binaryproto"


def test_caffes_mean_comes_back_byte_for_byte(tmp_path):
    mean = binaryproto.read(CAFFES)
    message = caffe_pb2.BlobProto.FromString(CAFFES.read_bytes())
    np.testing.assert_array_equal(mean.ravel(), np.array(message.data, np.float32), strict=True)
    assert mean.shape == (1, 1, 28, 28)
    assert mean.flags.writeable
    assert mean.flags.aligned
    binaryproto.write(tmp_path / "x", mean)
    assert (tmp_path / "x").read_bytes() == CAFFES.read_bytes()


def test_a_file_with_a_shape_and_doubles(tmp_path):
    blob = caffe_pb2.BlobProto(double_data=[1, 2, 3])
    blob.shape.dim.extend([3, 1])
    (tmp_path / "x").write_bytes(blob.SerializeToString())
    np.testing.assert_array_equal(binaryproto.read(tmp_path / "x"), [[1.0], [2.0], [3.0]], strict=True)


def test_fewer_axes_are_padded_as_in_old_files(tmp_path):
    binaryproto.write(tmp_path / "x", np.ones((3, 2, 2), np.float32))
    assert binaryproto.read(tmp_path / "x").shape == (1, 3, 2, 2)


def test_errors(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(DataError) as caught:
        binaryproto.write(path, np.ones((1, 1, 1, 1, 1)))
    assert str(caught.value) == f"cannot write '{path}': a mean has at most 4 axes, got shape (1, 1, 1, 1, 1)"
    with pytest.raises(FileLookupError) as caught:
        binaryproto.read(path)
    assert str(caught.value) == f"no such file: '{path}'"
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        binaryproto.read(path)
    assert str(caught.value) == f"'{path}' is empty"
    path.write_bytes(CAFFES.read_bytes()[:500])
    with pytest.raises(DataError) as caught:
        binaryproto.read(path)
    assert str(caught.value) == (
        f"'{path}' is truncated or no .binaryproto: at byte 8: field 5 needs 3136 bytes, 489 are left"
    )

"""Mean files."""

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats import binaryproto, wire
from pycaffe_lite.proto import caffe_pb2

CAFFES = FIXTURES / "db" / "mean.binaryproto"


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
        f"'{path}' is truncated or not a .binaryproto: at byte 8: field 5 needs 3136 bytes, 489 are left"
    )


def clips_of_c3d(values):
    """A BlobProto of C3D 1.0: it has five axes, so that data has number 6."""
    dims = b"".join(wire.varint_field(i + 1, n) for i, n in enumerate(values.shape))
    return dims + wire.bytes_field(6, values.astype("<f4").tobytes())


def clips_of_video_caffe(values):
    """A BlobProto of video-caffe: the length has number 7777 and stands last."""
    num, channels, length, height, width = values.shape
    dims = caffe_pb2.BlobProto(num=num, channels=channels, height=height, width=width)
    data = wire.bytes_field(5, values.astype("<f4").tobytes())
    return dims.SerializeToString() + data + wire.varint_field(7777, length)


def clips_with_a_shape(values):
    """As C3D 1.1 and Caffe 1.0 write it."""
    blob = caffe_pb2.BlobProto(data=values.ravel())
    blob.shape.dim.extend(values.shape)
    return blob.SerializeToString()


@pytest.mark.parametrize("form", [clips_of_c3d, clips_of_video_caffe, clips_with_a_shape])
def test_means_of_clips(tmp_path, form):
    values = np.arange(1 * 3 * 4 * 5 * 6, dtype=np.float32).reshape(1, 3, 4, 5, 6)
    (tmp_path / "x").write_bytes(form(values))
    np.testing.assert_array_equal(binaryproto.read(tmp_path / "x"), values, strict=True)


def test_an_hdf5_file(tmp_path):
    file = FIXTURES / "lenet/lenet_iter_50.caffemodel.h5"
    with pytest.raises(DataError) as caught:
        binaryproto.read(file)
    assert str(caught.value) == (
        f"'{file}' is an HDF5 file, Caffe's means are .binaryproto: convert it by "
        "pycaffe_lite.formats.binaryproto.write"
    )


def test_a_file_of_numpys(tmp_path):
    np.save(tmp_path / "mean.npy", np.zeros((1, 6, 6)))
    for what, arguments in (("means", []), ("matrices", ["matrices"])):
        with pytest.raises(DataError) as caught:
            binaryproto.read(tmp_path / "mean.npy", *arguments)
        assert str(caught.value) == (
            f"'{tmp_path}/mean.npy' is a NumPy file, Caffe's {what} are .binaryproto: convert it by "
            "pycaffe_lite.formats.binaryproto.write"
        )

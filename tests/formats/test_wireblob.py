"""BlobProto on the wire, against protobuf's own reading and writing."""

import io

import numpy as np
import pytest

from pycaffe_lite.formats import wire
from pycaffe_lite.formats.wire import WireError
from pycaffe_lite.formats.wireblob import blob_parts, legacy_parts, read_blob, size_of, write_part
from pycaffe_lite.proto import caffe_pb2

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) / 7


def read(data):
    return read_blob(np.frombuffer(data, np.uint8).data, 0, len(data))


def written(parts):
    file = io.BytesIO()
    for part in parts:
        write_part(file, part)
    assert len(file.getvalue()) == sum(map(size_of, parts))
    return file.getvalue()


def message_of(values, **fields):
    blob = caffe_pb2.BlobProto(**fields)
    blob.shape.dim.extend(values.shape)
    return blob


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("diff", [None, -VALUES])
def test_what_is_written_is_protobufs(dtype, diff):
    values = VALUES.astype(dtype)
    diff = None if diff is None else diff.astype(dtype)
    data = written(blob_parts(7, values, diff))
    (blob,) = caffe_pb2.LayerParameter.FromString(data).blobs
    assert list(blob.shape.dim) == [2, 3]
    stored, gradients = (
        (blob.double_data, blob.double_diff) if dtype == np.float64 else (blob.data, blob.diff)
    )
    assert list(stored) == values.ravel().tolist()
    assert list(gradients) == ([] if diff is None else diff.ravel().tolist())
    again = read(blob.SerializeToString())
    np.testing.assert_array_equal(again.data, values, strict=True)
    assert not again.legacy
    assert (again.diff is None) == (diff is None)


def test_values_that_do_not_lie_in_a_row_are_written_in_order():
    (blob,) = caffe_pb2.LayerParameter.FromString(written(blob_parts(7, VALUES.T))).blobs
    assert list(blob.data) == VALUES.T.ravel().tolist()


def test_scalars_and_empty_blobs():
    for values in (np.array(5, np.float32), np.zeros((0, 3), np.float32)):
        (blob,) = caffe_pb2.LayerParameter.FromString(written(blob_parts(7, values))).blobs
        np.testing.assert_array_equal(read(blob.SerializeToString()).data, values, strict=True)


def test_doubles_count_before_floats():
    data = message_of(VALUES, data=[0] * 6, double_data=[0.1] * 6).SerializeToString()
    np.testing.assert_array_equal(read(data).data, np.full((2, 3), 0.1), strict=True)


def test_old_dimensions():
    blob = caffe_pb2.BlobProto.FromString(written(legacy_parts(VALUES)))
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 1, 2, 3)
    again = read(blob.SerializeToString())
    assert again.legacy
    np.testing.assert_array_equal(again.data, VALUES.reshape(1, 1, 2, 3), strict=True)


def test_a_read_blob_is_a_view_of_the_file():
    data = np.frombuffer(message_of(VALUES, data=VALUES.ravel()).SerializeToString(), np.uint8)
    assert np.shares_memory(read_blob(data.data, 0, len(data)).data, data)


def test_clips_of_frames_have_a_length():
    clip = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 2, 2)
    packed = clip.tobytes()
    of_c3d = b"".join(wire.varint_field(i + 1, n) for i, n in enumerate(clip.shape))
    of_c3d += wire.bytes_field(6, packed)
    numbers = (1, 2, 7777, 3, 4)
    of_video = b"".join(wire.varint_field(i, n) for i, n in zip(numbers, clip.shape, strict=True))
    of_video += wire.bytes_field(5, packed)
    for data in (of_c3d, of_video):
        blob = read(data)
        assert blob.legacy
        np.testing.assert_array_equal(blob.data, clip, strict=True)


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        (message_of(VALUES, data=[1] * 5), r"a blob of shape \(2, 3\) holds 5 values"),
        (message_of(VALUES, data=[1] * 6, diff=[1]), r"a blob of shape \(2, 3\) holds 1 gradients"),
        (message_of(np.zeros((1,) * 33)), "more than 32 numbers"),
        (caffe_pb2.BlobProto(shape=caffe_pb2.BlobShape(dim=[2**31, 0])), "the impossible shape"),
        (caffe_pb2.BlobProto(num=-1, data=[1]), r"the impossible shape \(-1, 0, 0, 0\)"),
    ],
)
def test_what_cannot_be(blob, says):
    with pytest.raises(WireError, match=says):
        read(blob.SerializeToString())

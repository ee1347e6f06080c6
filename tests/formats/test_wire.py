"""The wire format, against protobuf's own encoder and by hand."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycaffe_lite.formats import wire
from pycaffe_lite.formats.wire import FIXED32, LENGTH, VARINT, WireError
from pycaffe_lite.proto import caffe_pb2

FLOAT, DOUBLE = np.dtype("<f4"), np.dtype("<f8")


@given(st.integers(-(2**31), 2**31 - 1))
def test_varints_are_protobufs(value):
    data = caffe_pb2.SolverState(iter=value).SerializeToString()
    assert wire.varint_field(1, value) == data
    field = wire.read_field(wire.view_of(data), 0, len(data))
    assert wire.signed(field.value, 32) == value


@given(st.binary(max_size=300), st.integers(1, 2**29 - 1))
def test_length_delimited_fields_come_back(payload, number):
    data = wire.bytes_field(number, payload)
    field = wire.read_field(wire.view_of(data), 0, len(data))
    assert (field.number, field.wire_type, field.end) == (number, LENGTH, len(data))
    assert data[field.start : field.end] == payload


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(data):
    buffer = wire.view_of(data)
    ends = []
    with contextlib.suppress(WireError):
        for field in wire.fields(buffer, 0, len(data)):
            ends.append(field.end)
            assert 0 <= field.start <= field.end <= len(data)
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80", "at byte 0: a number runs past the end"),
        (b"\xff" * 10 + b"\x01", "at byte 0: a number has more than 10 bytes"),
        (b"\x00\x01", "at byte 0: field number 0 is impossible"),
        (b"\x0b", "at byte 0: field 1 has the unusable wire type 3"),
        (b"\x08\x01\x12\x05abc", "at byte 2: field 2 needs 5 bytes, 3 are left"),
        (b"\x0d\x00\x00", "at byte 0: field 1 needs 4 bytes, 2 are left"),
    ],
)
def test_errors_say_where_and_what(data, message):
    with pytest.raises(WireError) as caught:
        list(wire.fields(wire.view_of(data), 0, len(data)))
    assert str(caught.value) == message


def unpacked(number, values, dtype):
    head = wire.tag(number, FIXED32 if dtype == FLOAT else wire.FIXED64)
    return b"".join(head + v.tobytes() for v in np.asarray(values, dtype))


@pytest.mark.parametrize("dtype", [FLOAT, DOUBLE])
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 500])
def test_a_run_of_unpacked_floats_is_one_view(dtype, count):
    values = np.arange(count).astype(dtype)
    data = unpacked(5, values, dtype) + wire.varint_field(1, 7)
    buffer = wire.view_of(data)
    got, after = wire.read_floats(buffer, 0, len(data), wire.read_field(buffer, 0, len(data)), dtype)
    np.testing.assert_array_equal(got, values)
    assert data[after:] == wire.varint_field(1, 7)
    assert got.base is not None


def test_a_long_tag_is_read_alone():
    data = b"\xad\x00" + np.float32(3).tobytes() + unpacked(5, [4], FLOAT)
    buffer = wire.view_of(data)
    got, after = wire.read_floats(buffer, 0, len(data), wire.read_field(buffer, 0, len(data)), FLOAT)
    assert (got.tolist(), after) == ([3.0], 6)


def test_packed_floats_must_fill_their_block():
    data = wire.bytes_field(5, b"12345")
    buffer = wire.view_of(data)
    with pytest.raises(WireError, match="at byte 0: 5 bytes are no whole number of float32 values"):
        wire.read_floats(buffer, 0, len(data), wire.read_field(buffer, 0, len(data)), FLOAT)


def test_integers_packed_or_not():
    packed = wire.bytes_field(1, wire.varint(3) + wire.varint(-1))
    field = wire.read_field(wire.view_of(packed), 0, len(packed))
    assert wire.read_integers(wire.view_of(packed), field, at_most=2) == [3, -1]
    with pytest.raises(WireError, match="more than 1 numbers"):
        wire.read_integers(wire.view_of(packed), field, at_most=1)
    single = wire.varint_field(1, -4)
    field = wire.read_field(wire.view_of(single), 0, len(single))
    assert field.wire_type == VARINT
    assert wire.read_integers(wire.view_of(single), field, at_most=2) == [-4]

"""Binary solver states: against protobuf's parser and real Caffe's file."""

import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.formats import solverstate
from pycaffe_lite.formats.blobproto import array_of
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.proto import caffe_pb2

CAFFES = FIXTURES / "lenet" / "lenet_iter_50.solverstate"


def test_caffes_file_comes_back_byte_for_byte(tmp_path):
    state = solverstate.read(CAFFES)
    message = caffe_pb2.SolverState.FromString(CAFFES.read_bytes())
    assert (state.iter, state.learned_net, state.current_step) == (50, "lenet_iter_50.caffemodel", 0)
    assert state.resume is None
    for values, blob in zip(state.history, message.history, strict=True):
        np.testing.assert_array_equal(values, array_of(blob), strict=True)
    solverstate.write(tmp_path / "x", state)
    assert (tmp_path / "x").read_bytes() == CAFFES.read_bytes()


def test_the_resume_field_is_unknown_to_the_schema_and_harmless(tmp_path):
    state = SolverState(7, "a.caffemodel", 2, (np.arange(3.0),), b"\x00opaque\xff")
    solverstate.write(tmp_path / "x", state)
    back = solverstate.read(tmp_path / "x")
    assert back.resume == b"\x00opaque\xff"
    np.testing.assert_array_equal(back.history[0], np.arange(3.0), strict=True)
    message = caffe_pb2.SolverState.FromString((tmp_path / "x").read_bytes())
    assert (message.iter, message.learned_net, message.current_step) == (7, "a.caffemodel", 2)
    solverstate.write(tmp_path / "plain", replace(state, resume=None))
    with_field, without = (tmp_path / "x").read_bytes(), (tmp_path / "plain").read_bytes()
    assert with_field.startswith(without)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "at byte 0: it does not say the iteration"),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "at byte 0: iteration -1 is impossible"),
        (b"\x08\x01\x1a\x05abc", "at byte 2: field 3 needs 5 bytes, 3 are left"),
        (b"\x08\x01\x1a\x02\x2a\x01", "at byte 4: field 5 needs 1 bytes, 0 are left (history blob 0)"),
    ],
)
def test_errors_name_the_file_and_the_place(tmp_path, data, problem):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SnapshotError) as caught:
        solverstate.read(tmp_path / "x")
    assert str(caught.value) == f"'{tmp_path / 'x'}' is truncated or not a .solverstate: {problem}"


def test_the_head_is_read_without_the_history(tmp_path):
    history = (np.ones(10**6, np.float32), np.ones(10**6, np.float32))
    state = SolverState(7, "a\udcff.caffemodel", 2, history, b"opaque")
    solverstate.write(tmp_path / "x", state)
    tracemalloc.start()
    head = solverstate.read_head(tmp_path / "x")
    assert tracemalloc.get_traced_memory()[1] < 2**19
    tracemalloc.stop()
    assert head == replace(state, history=())
    assert solverstate.read(tmp_path / "x").learned_net == state.learned_net


@pytest.mark.parametrize("size", [1, 30, 100, 4_000_030])
def test_the_head_of_a_file_that_is_cut_short(tmp_path, size):
    history = (np.ones(10**6, np.float32),)
    solverstate.write(tmp_path / "x", SolverState(7, "a.caffemodel", 2, history, b"opaque"))
    os.truncate(tmp_path / "x", size)
    with pytest.raises(SnapshotError, match=r"is truncated or not a \.solverstate: at byte \d+: "):
        solverstate.read_head(tmp_path / "x")

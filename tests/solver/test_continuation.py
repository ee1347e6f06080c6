"""The bytes of the state beyond Caffe's; what a resumed run does with it is in test_resume.py."""

import contextlib
import time

import pytest
from small_solver import solver

from pycaffe_lite import random
from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.formats import wire
from pycaffe_lite.solver.continuation import (
    Continuation,
    LayerState,
    Lineage,
    capture,
    decode,
    encode,
    restore,
)
from pycaffe_lite.solver.loss_window import LossWindow

STATE = Continuation(
    random=b"stream",
    window=LossWindow(4, 20, [1.5, -2.0, 0.1]),
    layers={(0, "data"): LayerState("Data", b"\0\1"), (2, "größe"): LayerState("Python", b"")},
    fingerprint=b"print",
    lineage=Lineage(b"run", 2**62, 2**61),
    solver_type="Adam",
)


def test_what_is_encoded_comes_back():
    assert decode(encode(STATE)) == STATE


def test_fields_of_later_versions_are_passed_over():
    assert decode(encode(STATE) + wire.bytes_field(99, b"new")) == STATE


def test_another_version_is_refused():
    with pytest.raises(SnapshotError, match="has version 2, this program knows 1"):
        decode(encode(STATE) + wire.varint_field(1, 2))


def test_no_piece_of_a_state_passes_for_a_whole_one():
    whole = encode(STATE)
    read = []
    for size in range(len(whole)):
        with contextlib.suppress(SnapshotError):
            read.append(decode(whole[:size]))
    assert STATE not in read
    with pytest.raises(SnapshotError, match="its state for going on exactly is damaged: "):
        decode(whole[:-1])


def test_the_lineage_goes_on():
    first = Lineage.new()
    assert len(first.run) == 8
    assert first.run != Lineage.new().run
    before = time.time_ns()
    one = first.next(5)
    assert one.time >= before
    assert (one.run, one.previous, one.iter) == (first.run, 0, 5)
    two = one.next(6)
    assert two.time > one.time
    assert two.previous == one.time
    assert two.next(6).previous == one.time  # it replaces the snapshot of the same iteration


def test_a_clock_set_back_does_not_turn_the_order_round():
    future = Lineage(b"run", time.time_ns() + 10**15)
    assert future.next(1).time == future.time + 1


def test_the_random_stream_goes_on_from_where_it_was():
    made = solver()
    saved = capture([made.net], made.window)
    drawn = random.stream().raw_array(5)
    assert restore(saved, [made.net]) == []
    assert (random.stream().raw_array(5) == drawn).all()


def test_what_does_not_fit_is_said():
    made = solver()
    saved = capture([made.net], made.window)
    saved.layers.update(
        {
            (0, "gone"): LayerState("Data", b"x"),
            (0, "ip1"): LayerState("Data", b"x"),
            (0, "ip2"): LayerState("InnerProduct", b"x"),
            (1, "data"): LayerState("Data", b"x"),
            (1, "more"): LayerState("Data", b"x"),
        }
    )
    assert restore(saved, [made.net]) == [
        "test net #0 is gone: its saved state is not used",
        "layer 'gone' of the train net is gone: its saved state is not used",
        "layer 'ip1' (InnerProduct) of the train net: its saved state is not used: it was of type Data",
        "layer 'ip2' (InnerProduct) of the train net: it keeps no state: the one saved is not used",
    ]


def test_a_stream_that_is_damaged():
    made = solver()
    saved = Continuation(b"short", LossWindow(1))
    (said,) = restore(saved, [made.net])
    assert said.startswith("random numbers start afresh: ")


def test_a_layer_without_a_saved_state(monkeypatch):
    made = solver()
    saved = capture([made.net], made.window)
    monkeypatch.setattr(made.net.layers[1], "state", lambda: b"something")
    assert restore(saved, [made.net]) == [
        "layer 'ip1' (InnerProduct) of the train net starts afresh: no state of it was saved"
    ]

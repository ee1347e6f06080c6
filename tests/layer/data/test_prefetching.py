"""The base of data layers whose batches are made ahead, shown by a source that counts."""

import logging
import struct

import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.data import prefetching
from pycaffe_lite.layer.data.prefetching import OF_DATA_ALONE, PrefetchingLayer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


class Work:
    """A batch of one number."""

    pieces = 1

    def __init__(self, number, labels):
        self.number = number
        self.labels = labels
        self.state = struct.pack("<I", number + 1)

    def run(self, piece, batch):
        if self.number == 9:
            raise DataError("record 9 is damaged")
        batch.make_room((1, 1 + self.number % 2), int(self.labels))
        batch.data[...] = self.number
        batch.labels[...] = -self.number

    def finish(self, batch):
        """Nothing is left."""


class Count:
    """The source of 0, 1, 2, ..."""

    def __init__(self, labels):
        self.labels = labels
        self.number = 0

    def plan(self):
        self.number += 1
        return Work(self.number - 1, self.labels)

    def shape(self):
        return (1,)

    def state(self):
        return struct.pack("<I", self.number)

    def set_state(self, state):
        (self.number,) = struct.unpack("<I", state)
        return "some of it" if self.number > 100 else ""


class Counting(PrefetchingLayer):
    batch_size = 1

    def setup(self, bottom, top):
        self.set_up_batches(top, self.batch_size)

    def open(self, labels):
        return Count(labels)


def build(fields="", tops=2, kind=Counting):
    message = parse(f"name: 'd' type: 'Counting' {fields}", caffe_pb2.LayerParameter).message
    layer = kind(message, None, LayerContext(where="net.prototxt:3: "))
    top = [Blob() for _ in range(tops)]
    layer.set_up([], top)
    return layer, top


def run(layer, top):
    layer.reshape([], top)
    layer.forward([], top)
    return [blob.data.tolist() for blob in top]


def test_batches_come_in_order_each_with_its_shape():
    layer, top = build()
    assert [blob.shape for blob in top] == [(1, 1), (1,)]
    assert [run(layer, top) for _ in range(3)] == [[[[0]], [0]], [[[1, 1]], [-1]], [[[2]], [-2]]]


def test_labels_are_made_where_there_is_a_top_for_them():
    layer, top = build(tops=1)
    assert not layer._source.labels
    assert run(layer, top) == [[[0]]]


def test_the_state_is_that_of_the_batches_used():
    layer, top = build("data_param { prefetch: 3 }")
    for number in range(3):
        assert layer.state() == struct.pack("<I", number)
        run(layer, top)
    other, other_top = build()
    run(other, other_top)
    assert other.set_state(layer.state()) == ""
    assert other.state() == layer.state()
    assert run(other, other_top) == run(layer, top) == [[[3, 3]], [-3]]


def test_what_starts_afresh_is_said():
    assert build()[0].set_state(struct.pack("<I", 101)) == "some of it"


def test_errors_get_the_layers_place_and_come_after_the_batches_before():
    layer, top = build()
    for _ in range(9):
        run(layer, top)
    with pytest.raises(DataError) as error:
        run(layer, top)
    assert str(error.value) == "net.prototxt:3: layer 'd' (Counting): record 9 is damaged"


def test_a_source_that_cannot_be_opened():
    class Failing(Counting):
        def open(self, labels):
            raise DataError("no such database")

    with pytest.raises(DataError, match=r"^net.prototxt:3: layer 'd' \(Counting\): no such database$"):
        build(kind=Failing)


def test_no_thread_is_started_before_the_first_pass_and_waiting_adds_up():
    layer, top = build()
    assert layer._prefetcher is None
    assert layer.seconds_waited == 0
    run(layer, top)
    waited = layer.seconds_waited
    assert waited > 0
    layer.set_state(layer.state())
    assert layer.seconds_waited == waited


def test_no_batches_ahead():
    with pytest.raises(LayerError, match=r"needs data_param.prefetch > 0"):
        build("data_param { prefetch: 0 }")


def test_more_batches_than_half_of_the_memory_takes(monkeypatch):
    monkeypatch.setattr(prefetching, "machine_memory", lambda: 2.0**30)

    class Large(Counting):
        batch_size = 2**20  # values of data, and as many labels: 8 MiB

    build("data_param { prefetch: 63 }", kind=Large)
    with pytest.raises(
        LayerError, match=r"65 batches would take 0.508 GiB, more than half of this machine's 1;"
    ):
        build("data_param { prefetch: 65 }", kind=Large)


def test_fields_without_effect_are_said(caplog):
    layer, _ = build("data_param { scale: 2 batch_size: 3 }")
    caplog.set_level(logging.WARNING)
    layer.say_ignored("data_param", {"scale": "transform_param.scale", "batch_size": "", "mirror": ""})
    assert caplog.messages == [
        "layer 'd' (Counting): data_param.scale has no effect, as in Caffe: write transform_param.scale",
        "layer 'd' (Counting): data_param.batch_size has no effect, as in Caffe",
    ]
    assert "prefetch" not in OF_DATA_ALONE
    assert {"source", "backend", "batch_size"} <= set(OF_DATA_ALONE)


def test_the_transformer_is_that_of_the_layers_phase_and_field():
    layer, _ = build("phase: TEST transform_param { crop_size: 2 scale: 3 }")
    transformer = layer.transformer("records")
    assert transformer.fit((1, 4, 4)).top_shape == (1, 2, 2)
    with pytest.raises(DataError, match=r"does not fit records of shape \(1, 1, 4\)"):
        transformer.fit((1, 1, 4))

import numpy as np
import pytest

from pycaffe_lite.layer.data.prefetching import PrefetchingLayer
from pycaffe_lite.net import timing
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.timing import seconds_waited, time_layers
from pycaffe_lite.proto import caffe_pb2

TEXT = """
layer { name: "in" type: "Input" top: "x" top: "t"
        input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


@pytest.fixture
def net():
    return Net.from_text(TEXT, caffe_pb2.TRAIN)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves by 1 s whenever it is read."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(seconds)))


def test_each_layer_is_timed_by_itself(net, clock):
    told = []
    timings = time_layers(net, 2, lambda i, ms: told.append((i, ms)))
    assert timings.names == ["in", "ip", "loss"]
    assert timings.forward_ms == timings.backward_ms == [2000] * 3
    # of each iteration: its 6 passes, each with two readings, and the reading at its end
    assert timings.iteration_ms == [13_000] * 2
    assert timings.total_ms == 2 * 14_000 + 1000
    assert told == [(0, 13_000), (1, 13_000)]


def test_passes_are_whole_ones(net):
    net.blobs["x"].data[...] = 1
    net.params["ip"][0].data[...] = 2
    time_layers(net, 1)
    assert net.blobs["loss"].data == 18
    np.testing.assert_array_equal(net.params["ip"][0].diff, [[6, 6, 6]])


def test_waiting_is_that_of_the_data_layers(net, monkeypatch):
    class Waiting(PrefetchingLayer):
        seconds_waited = 0.25

    layer = net.layers[0]
    assert seconds_waited(net) == 0
    waiting = Waiting(layer.layer_param, layer.param, layer.context)
    monkeypatch.setattr(type(net), "layers", [waiting, *net.layers, waiting])
    assert seconds_waited(net) == 0.5


def test_only_the_waiting_of_these_iterations_counts(net, monkeypatch):
    waited = iter([1.5, 1.75])
    monkeypatch.setattr(timing, "seconds_waited", lambda net: next(waited))
    assert time_layers(net, 3).waited_ms == 250

"""Traces of an iteration: each layer in each phase, in the order of the net."""

import json

import numpy as np
import pytest
from watched_solver import HOSTILE, small_solver

from pycaffe_lite import TRAIN, Net, get_num_threads, set_num_threads
from pycaffe_lite.net.timing import trace_pass
from pycaffe_lite.view.trace_events import ITERATIONS_BEFORE, IterationTracer, write_trace

NET = """
layer { name: "data" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "y"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
layer { name: "ip" type: "InnerProduct" bottom: "y" top: "z" inner_product_param { num_output: 2 } }
layer { name: "sums" type: "Reduction" bottom: "z" top: "loss" loss_weight: 1 }
"""


@pytest.fixture(params=[1, 2])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


def events_of(stretches, path):
    write_trace(path, stretches, "<net>\x1b")
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    (process,) = (event for event in events if event["name"] == "process_name")
    assert process["args"]["name"] == "<net>\\x1b"
    found = [{**event, "track": tracks[event["tid"]]} for event in events if event["ph"] == "X"]
    assert min(event["ts"] for event in found) == 0
    assert all(event["dur"] >= 0 for event in found)
    return found


def names(events, track, kind=None):
    return [e["name"] for e in events if e["track"] == track and kind in (None, e["cat"])]


def test_a_pass(tmp_path, threads):
    net = Net.from_text(NET, TRAIN)
    events = events_of(trace_pass(net), tmp_path / "t.json")
    assert names(events, "phases") == ["forward", "backward"]
    assert names(events, "layers", "forward") == ["data", "conv + relu", "ip", "sums"]
    assert names(events, "layers", "backward") == ["sums", "ip", "relu", "conv"]
    kernels = [event for event in events if event["track"].startswith("thread ")]
    assert len({event["track"] for event in kernels}) <= threads
    assert {event["args"]["layer"] for event in kernels} >= {"conv + relu", "ip", "relu", "conv"}
    layers = {(e["cat"], e["name"]): e for e in events if e["track"] == "layers"}
    for kernel in kernels:
        layer = layers[kernel["cat"], kernel["args"]["layer"]]
        assert layer["ts"] <= kernel["ts"] + 0.001
        assert kernel["ts"] + kernel["dur"] <= layer["ts"] + layer["dur"] + 0.001
    # Nothing stays behind: the next pass is not looked at, and its parts are as they were.
    assert all("run" not in vars(part) for part in net._parts)


def test_an_iteration_of_a_training(tmp_path):
    plain, traced = small_solver(), None
    plain.solve()
    traced = small_solver()
    found, at = [], []
    tracer = IterationTracer(traced, lambda stretches: (found.extend(stretches), at.append(traced.iter)))
    traced.solve()
    assert tracer.is_done
    assert at == [ITERATIONS_BEFORE + 1]
    events = events_of(found, tmp_path / "t.json")
    assert names(events, "phases") == ["forward", "backward", "update"]
    assert names(events, "layers", "update") == [HOSTILE, "\\x1b[2Jclear"]
    assert names(events, "layers", "forward")[:2] == ["data", HOSTILE]
    for one, other in zip(plain.net.learnable_params, traced.net.learnable_params, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_an_iteration_with_a_test_is_not_taken():
    solver = small_solver("test_interval: 5")
    at = []
    IterationTracer(solver, lambda stretches: at.append(solver.iter))
    solver.step(12)
    assert at == [ITERATIONS_BEFORE + 1]  # iteration 4; 5 begins with a test
    solver = small_solver("test_interval: 4")
    IterationTracer(solver, lambda stretches: at.append(solver.iter))
    solver.step(12)
    assert at[1:] == [ITERATIONS_BEFORE + 2]


def test_nothing_done(tmp_path):
    write_trace(tmp_path / "t.json", [], "x")
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"] == []

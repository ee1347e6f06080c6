"""pycaffe's small names: what they do where they have no meaning here."""

import logging
import subprocess
import sys
import time

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, PrototxtError, SolverError, WeightsError
from pycaffe_lite.parallel import _Settings

NET = """
name: "n"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1 }
layer { name: "more" type: "ReLU" bottom: "y" top: "r" include { stage: "s" min_level: 2 } }
"""


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setattr(_Settings, "solver_count", 1)
    monkeypatch.setattr(_Settings, "solver_rank", 0)


@pytest.mark.usefixtures("settings")
def test_a_program_for_several_gpus_runs_alone(tmp_path, caplog):
    """What Caffe's own train.py calls, in its order, where there is no NCCL."""
    (tmp_path / "n.prototxt").write_text(NET)
    text = f'net: "{tmp_path}/n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2'
    (tmp_path / "s.prototxt").write_text(text)
    with caplog.at_level(logging.WARNING):
        caffe.set_device(1)
        caffe.set_mode_gpu()
        caffe.set_solver_count(2)
        caffe.set_solver_rank(1)
        caffe.set_multiprocess(True)
        solver = caffe.SGDSolver(str(tmp_path / "s.prototxt"))
        nccl = caffe.NCCL(solver, "uid")
        nccl.bcast()
        solver.add_callback(nccl)
        solver.net.after_backward(nccl)
        solver.step(1)
    assert solver.iter == 1
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (2, 1, False)
    assert "set_solver_count(2) has no effect" in caplog.text
    assert "NCCL does nothing" in caplog.text
    with pytest.raises(SolverError, match="there is no NCCL here"):
        caffe.NCCL.new_uid()


def test_a_callback_needs_both_functions(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    text = f'net: "{tmp_path}/n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2'
    (tmp_path / "s.prototxt").write_text(text)
    solver = caffe.get_solver(tmp_path / "s.prototxt")
    for args in ((lambda: None,), (lambda: None, 3), (None, None)):
        with pytest.raises(ArgumentTypeError, match="two functions: on_start and on_gradients_ready"):
            solver.add_callback(*args)


def test_timer():
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.002)
    running = timer.ms
    timer.stop()
    assert 2 <= running <= timer.ms
    timer.stop()  # a second time: nothing
    assert timer.ms >= running


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1"])
def test_seeds_that_cannot_be(seed):
    with pytest.raises(ArgumentError, match="a seed must be "):
        caffe.set_random_seed(seed)


def test_nets_from_text_and_from_messages():
    net = caffe.Net.from_text(NET, caffe.TEST, 2, ["s"])
    assert (net.name, list(net.layer_dict)[-1], net.file) == ("n", "more", None)
    net.params["ip"][0].data[...] = 5
    message = caffe.proto.caffe_pb2.NetParameter(name="m", input=["x"])
    message.input_shape.add(dim=[1, 3])  # as in 2015
    layer = message.layer.add(name="ip", type="InnerProduct", bottom=["x"], top=["y"])
    layer.inner_product_param.num_output = 2
    before = message.SerializeToString()
    made = caffe.Net.from_proto(message, caffe.TEST)
    made.share_with(net)
    assert made.inputs == ["x"]
    assert np.array_equal(made.forward(x=np.ones((1, 3)))["y"], [[15, 15]])
    assert message.SerializeToString() == before


def test_nets_from_what_is_none(tmp_path):
    with pytest.raises(PrototxtError, match="<text>:1"):
        caffe.Net.from_text("layer { nonsense: 1", caffe.TEST)
    with pytest.raises(ArgumentTypeError, match="from_proto takes a NetParameter, got str"):
        caffe.Net.from_proto(NET, caffe.TEST)
    with pytest.raises(ArgumentTypeError, match="the phase is missing"):
        caffe.Net.from_text(NET, None)
    (tmp_path / "w.caffemodel").write_bytes(b"\xff")
    with pytest.raises(WeightsError):
        caffe.Net.from_text(NET, caffe.TEST, weights=tmp_path / "w.caffemodel")


def test_a_class_of_ones_own_stays_one():
    class Mine(caffe.Net):
        pass

    assert type(Mine.from_text(NET, caffe.TEST)) is Mine


def test_a_layers_blobs_are_written_into_and_not_replaced():
    net = caffe.Net.from_text(NET, caffe.TEST)
    for blobs in (net.params["ip"], net.layers[1].blobs):
        with pytest.raises(TypeError, match=r"write into one by params\['name'\]\[0\]\.data"):
            blobs[0] = np.zeros((2, 3))


def test_lists_of_the_net_are_copies():
    net = caffe.Net.from_text(NET, caffe.TEST)
    net._layer_names.clear()
    net._inputs.clear()
    assert (net._layer_names[0], net._blob_names[net._inputs[0]]) == ("in", "x")
    assert [net._blob_names[i] for i in net._top_ids(1)] == ["y"]
    assert net._blobs[net._bottom_ids(1)[0]] is net.blobs["x"]
    assert (net._input_list, net._output_list) == (net.inputs, net.outputs) == (["x"], ["loss"])
    assert net._blobs_dict == net.blobs


def test_a_solvers_place_is_not_set_from_outside(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    (tmp_path / "s.prototxt").write_text('net: "n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2')
    solver = caffe.get_solver(tmp_path / "s.prototxt")
    for name in ("iter", "net", "test_nets", "lr"):
        with pytest.raises(AttributeError):
            setattr(solver, name, getattr(solver, name))
    solver.step(1)
    assert solver.iter == 1


def test_modules_that_come_along():
    """As with pycaffe: `import caffe` is enough for these."""
    code = """if True:
        import pycaffe_lite as caffe
        assert caffe.pycaffe.Net is caffe._caffe.Net is caffe.Net
        modules = caffe.io, caffe.net_spec, caffe.classifier, caffe.detector, caffe.proto.caffe_pb2
    """
    subprocess.run([sys.executable, "-c", code], check=True)

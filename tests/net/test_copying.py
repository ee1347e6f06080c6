"""Copies of nets and solvers, and what pickle is told of them."""

import copy
import pickle

import numpy as np
import pytest

import pycaffe_lite as caffe

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
    inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
"""


def test_a_deep_copy_has_weights_of_its_own():
    net = caffe.Net.from_text(NET, caffe.TEST)
    twin = copy.deepcopy(net)
    twin.params["ip"][0].data[...] = 0
    assert type(twin) is caffe.Net
    assert not twin.forward(x=np.ones((2, 3)))["y"].any()
    assert net.forward(x=np.ones((2, 3)))["y"].any()
    assert twin.layers[1].blobs[0] is twin.params["ip"][0]


def test_a_shallow_copy_is_the_same_net():
    net = caffe.Net.from_text(NET, caffe.TEST)
    assert copy.copy(net).blobs["y"] is net.blobs["y"]


def test_pickle_is_told_what_to_do():
    net = caffe.Net.from_text(NET, caffe.TEST)
    for kind in (RuntimeError, TypeError, caffe.NetError):
        with pytest.raises(kind, match=r"^a Net cannot be pickled: keep its prototxt and its weights"):
            pickle.dumps([net])


def test_a_solver_is_copied_and_not_pickled(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        NET + 'layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }'
    )
    (tmp_path / "s.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9')
    solver = caffe.get_solver(tmp_path / "s.prototxt")
    solver.net.blobs["x"].data[...] = 1
    solver.step(1)
    twin = copy.deepcopy(solver)
    twin.step(2)
    mine, twins = solver.net.params["ip"][0].data, twin.net.params["ip"][0].data
    assert (twin.iter, solver.iter) == (3, 1)
    assert not np.array_equal(twins, mine)
    solver.step(2)
    assert np.array_equal(twins, mine)
    with pytest.raises(caffe.NetPicklingError):
        pickle.dumps(solver)

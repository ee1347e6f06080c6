import numpy as np
from layer_check import build_layer, check_layer

from pycaffe_lite.layer import engine


def test_logistic_function():
    x = 2 * np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer('type: "Sigmoid"', [x], lambda bottoms, blobs: [1 / (1 + np.exp(-bottoms[0]))], in_place=True)


def test_extreme_values():
    x = [-np.inf, -1000.0, -30.0, 0.0, 30.0, 1000.0, np.inf]
    rig = build_layer('type: "Sigmoid"', [x])
    assert rig.forward()[0].tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    assert rig.backward([np.ones(7)])[0][0].tolist() == [0, 0, 0, 0.25, 0, 0, 0]


def test_cudnn_is_said_once_in_the_log(caplog, monkeypatch):
    monkeypatch.setattr(engine, "_said", set())
    for _ in range(2):
        build_layer('type: "Sigmoid" sigmoid_param { engine: CUDNN }', [np.ones(3)])
    build_layer('type: "Sigmoid" sigmoid_param { engine: CAFFE }', [np.ones(3)])
    assert caplog.messages == ["layer 'layer' (Sigmoid): engine CUDNN is not available, its own kernels run"]

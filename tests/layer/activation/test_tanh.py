import numpy as np
from layer_check import build_layer, check_layer

from pycaffe_lite.layer import engine


def test_hyperbolic_tangent():
    x = 2 * np.random.default_rng(0).normal(size=(2, 3, 4))

    def reference(bottoms, blobs):
        e = np.exp(2 * bottoms[0])
        return [(e - 1) / (e + 1)]

    check_layer('type: "TanH"', [x], reference, in_place=True)


def test_extreme_values():
    rig = build_layer('type: "TanH"', [[-np.inf, -100.0, 0.0, 100.0, np.inf]])
    assert rig.forward()[0].tolist() == [-1, -1, 0, 1, 1]
    assert rig.backward([np.ones(5)])[0][0].tolist() == [0, 0, 1, 0, 0]


def test_cudnn_is_said_once_in_the_log(caplog, monkeypatch):
    monkeypatch.setattr(engine, "_said", set())
    for _ in range(2):
        build_layer('type: "TanH" tanh_param { engine: CUDNN }', [np.ones(3)])
    build_layer('type: "TanH" tanh_param { engine: CAFFE }', [np.ones(3)])
    assert caplog.messages == ["layer 'layer' (TanH): engine CUDNN is not available, its own kernels run"]

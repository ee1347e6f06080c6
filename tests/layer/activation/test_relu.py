import numpy as np
import pytest
from layer_check import build_layer, check_layer


def values(*shape):
    x = np.random.default_rng(0).normal(size=shape)
    return np.where(abs(x) < 0.01, 0.5, x)


@pytest.mark.parametrize("slope", [0, 0.1, 1.5])
@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 7)])
def test_slope(shape, slope):
    check_layer(
        f'type: "ReLU" relu_param {{ negative_slope: {slope} }}',
        [values(*shape)],
        lambda bottoms, blobs: [np.where(bottoms[0] > 0, bottoms[0], np.float32(slope) * bottoms[0])],
        in_place=True,
    )


def test_zero_counts_as_negative():
    rig = build_layer('type: "ReLU" relu_param { negative_slope: 0.25 }', [np.zeros(3)])
    rig.forward()
    assert rig.backward([np.ones(3)])[0][0].tolist() == [0.25] * 3


def test_without_a_slope_negative_values_become_plus_zero():
    y = build_layer('type: "ReLU"', [[-1.0, -0.0]]).forward()[0]
    assert not np.signbit(y).any()


def test_nan_stays():
    assert np.isnan(build_layer('type: "ReLU"', [[np.nan]]).forward()[0]).all()


def test_engine_cudnn_is_said_once(caplog, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.layer.engine._said", set())
    for _ in range(2):
        build_layer('name: "r" type: "ReLU" relu_param { engine: CUDNN }', [[1.0]])
    assert [record.message for record in caplog.records if "CUDNN" in record.message] == [
        "layer 'r' (ReLU): engine CUDNN is not available, its own kernels run"
    ]

import logging

import pytest
from layer_check import build_layer

from pycaffe_lite.layer import engine

X = [[[[1.0, -2.0]]]]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(engine, "_said", set())


def test_cudnn_is_said_to_be_missing_once_for_each_type(caplog):
    caplog.set_level(logging.WARNING, "pycaffe_lite.layer.engine")
    for name in ("a", "b"):
        for kind, param in (("ReLU", "relu_param"), ("Softmax", "softmax_param")):
            build_layer(f'name: "{name}" type: "{kind}" {param} {{ engine: CUDNN }}', [X])
    assert caplog.messages == [
        "layer 'a' (ReLU): engine CUDNN is not available, its own kernels run",
        "layer 'a' (Softmax): engine CUDNN is not available, its own kernels run",
    ]


@pytest.mark.parametrize("engine", ["", "engine: CAFFE", "engine: DEFAULT"])
def test_of_other_engines_nothing_is_said(caplog, engine):
    build_layer(f'type: "ReLU" relu_param {{ {engine} }}', [X])
    assert caplog.messages == []


def test_the_engine_changes_nothing():
    plain, other = (
        build_layer(f'type: "ReLU" relu_param {{ {field} }}', [X]).forward()[0]
        for field in ("", "engine: CUDNN")
    )
    assert plain.tolist() == other.tolist()

"""The registry: what it answers to types and parameters that do not belong."""

import subprocess
import sys

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.later import MODULE_OF
from pycaffe_lite.layer.missing_types import missing_types
from pycaffe_lite.layer.registry import layer_type_list, layer_types, register_layer


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("convolution", "unknown layer type 'convolution', did you mean 'Convolution'?"),
        ("InnerProdukt", "unknown layer type 'InnerProdukt', did you mean 'InnerProduct'?"),
        ("Imagedata", "unknown layer type 'Imagedata', did you mean 'ImageData'?"),
        ("GELU", "layer type 'GELU' is not Caffe's own and not supported; it comes from MyCaffe"),
        ("TRT", "layer type 'TRT' is not Caffe's own and not supported; it comes from NVIDIA's Caffe"),
        ("Qwxz", "unknown layer type 'Qwxz' ('pycaffe-lite layers' lists"),
        ("", "has no type"),
    ],
)
def test_a_type_that_is_not_there_is_explained(name, says):
    with pytest.raises(LayerError) as raised:
        build_layer(f'type: "{name}"', [])
    assert str(raised.value).startswith(f"layer 'layer': {says}")


def test_no_type_that_is_there_is_explained_away():
    assert not set(missing_types()) & set(layer_type_list(forks=True))
    assert len(set(missing_types())) == len(missing_types())


def test_a_type_is_registered_once():
    for name in ("ReLU", "Interp"):
        with pytest.raises(ValueError, match=f"layer type '{name}' is registered twice"):
            register_layer(name)(Layer)


def test_modules_of_types_that_are_imported_later():
    registered = {name: entry.layer_class.__module__ for name, entry in layer_types().items()}
    later = {name: module for name, module in registered.items() if module in MODULE_OF.values()}
    assert later == MODULE_OF


LATE = """
import sys
from pycaffe_lite.layer import registry
from pycaffe_lite.proto import caffe_pb2
module = registry.MODULE_OF["Interp"]
assert module not in sys.modules
assert registry.type_of(caffe_pb2.LayerParameter(type="ReLU"))
assert module not in sys.modules
assert "did you mean 'Interp'?" in registry.why_unknown("Interpp")
assert registry.type_of(caffe_pb2.LayerParameter(type="Interp")).layer_class.__module__ == module
"""


def test_a_type_of_a_fork_is_imported_when_it_is_named():
    subprocess.run([sys.executable, "-c", LATE], check=True)


@pytest.mark.parametrize(
    ("prototxt", "said"),
    [
        ('type: "ReLU" relu_param {}', []),
        ('type: "ReLU" tanh_param {}', ["layer 'layer' (ReLU): tanh_param has no effect on this type"]),
        ('type: "TanH" loss_param {}', ["layer 'layer' (TanH): loss_param has no effect on this type"]),
    ],
)
def test_parameters_of_another_type_are_said(prototxt, said, caplog):
    build_layer(prototxt, [np.zeros((2, 3))])
    assert caplog.messages == said

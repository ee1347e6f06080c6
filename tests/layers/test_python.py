import sys
import traceback

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layers.python import BlobVec, PythonLayer, PythonLayerBase
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

USER_LAYERS = """
import numpy as np
from pycaffe_lite.layers.python import PythonLayerBase


class Affine(PythonLayerBase):
    '''y = factor x + b, with the factor from param_str and b learnt.'''

    def setup(self, bottom, top):
        self.factor = float(self.param_str or 2)
        self.blobs.add_blob(*bottom[0].shape[1:])

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff


class PhaseAndName(PythonLayerBase):
    def __init__(self, layer_param):
        self.given_name = layer_param.name  # without the base's __init__

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[0] = self.phase


class Breaks(PythonLayerBase):
    def setup(self, bottom, top):
        if self.param_str == "setup":
            raise ValueError("wrong\\n  setup")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        if self.param_str == "reshape":
            raise KeyError("size")

    def forward(self, bottom, top):
        if self.param_str == "forward":
            self.broken_line()

    def broken_line(self):
        raise AssertionError


class Unfinished(PythonLayerBase):
    def reshape(self, bottom, top):
        pass


class NeedsMore(PythonLayerBase):
    def __init__(self, layer_param, more):
        pass


class NoLayer:
    pass


not_a_class = 3
"""


@pytest.fixture(autouse=True)
def user_module(tmp_path, monkeypatch):
    (tmp_path / "user_layers_of_test.py").write_text(USER_LAYERS)
    (tmp_path / "broken_module_of_test.py").write_text("import module_that_there_is_not\n")
    monkeypatch.syspath_prepend(tmp_path)


def python_param(layer, options="", module="user_layers_of_test"):
    return f'type: "Python" python_param {{ module: "{module}" layer: "{layer}" {options} }}'


@pytest.mark.parametrize(("options", "factor"), [("", 2), ('param_str: "-3"', -3)])
def test_user_layer(options, factor):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(python_param("Affine", options), [x], lambda bottoms, blobs: [factor * bottoms[0] + blobs[0]])


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
def test_object_knows_its_phase_and_message(phase):
    rig = build_layer(python_param("PhaseAndName"), [], phase=phase)
    assert rig.forward()[0] == [phase]
    assert rig.layer.given_name == "layer"


def test_attributes_and_blobs_are_those_of_the_object():
    layer = build_layer(python_param("Affine"), [np.ones((2, 3))]).layer
    assert isinstance(layer, PythonLayer)
    assert layer.factor == 2
    assert layer.blobs is layer.user.blobs
    assert isinstance(layer.blobs, BlobVec)
    assert layer.blobs[0].data.tolist() == [0, 0, 0]
    with pytest.raises(AttributeError, match="'Affine' object has no attribute 'nothing'"):
        _ = layer.nothing


def test_no_attribute_of_the_object_before_setup():
    layer = PythonLayer.__new__(PythonLayer)
    with pytest.raises(AttributeError, match="user"):
        _ = layer.factor


def test_blobs_of_the_prototxt_are_used():
    text = python_param("Affine") + " blobs { shape { dim: 2 } data: [5, 6] }"
    assert build_layer(text, [[[1.0, 1.0]]]).forward()[0].tolist() == [[7, 8]]


def test_module_in_the_folder_of_the_prototxt(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "beside_the_net_of_test.py").write_text(USER_LAYERS)
    text = python_param("Affine", module="beside_the_net_of_test")
    (folder / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }'
        f'layer {{ name: "y" bottom: "x" top: "y" {text} }}'
    )
    net = Net(folder / "net.prototxt", caffe_pb2.TEST)
    assert net.forward(x=[[4]])["y"].tolist() == [[8]]


def test_share_in_parallel_is_said_to_have_no_effect(caplog):
    caplog.set_level("INFO")
    build_layer(python_param("Affine", "share_in_parallel: true"), [np.ones((1, 1))])
    assert caplog.messages == [
        "layer 'layer' (Python): share_in_parallel has no effect, each process has a layer of its own"
    ]


def run(text):
    rig = build_layer(text, [np.ones((1, 1))])
    rig.forward()
    rig.backward([np.ones((1, 1))])


def failure(text):
    with pytest.raises(LayerError) as error:
        run(text)
    assert str(error.value).startswith("layer 'layer' (Python): ")
    return str(error.value).removeprefix("layer 'layer' (Python): "), error.value.__cause__


def test_missing_module():
    message, cause = failure(python_param("Affine", module="module_that_there_is_not"))
    assert message == (
        "cannot import module 'module_that_there_is_not' from sys.path: "
        "ModuleNotFoundError: No module named 'module_that_there_is_not'"
    )
    assert isinstance(cause, ModuleNotFoundError)


def test_missing_module_names_the_folder_of_the_prototxt(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        f'layer {{ name: "y" {python_param("A", module="module_that_there_is_not")} }}'
    )
    with pytest.raises(LayerError) as error:
        Net(tmp_path / "net.prototxt", caffe_pb2.TEST)
    assert str(error.value) == (
        f"{tmp_path / 'net.prototxt'}:1: layer 'y' (Python): cannot import module "
        f"'module_that_there_is_not' from sys.path or {tmp_path}: "
        "ModuleNotFoundError: No module named 'module_that_there_is_not'"
    )


def test_module_that_fails_itself():
    message, cause = failure(python_param("Affine", module="broken_module_of_test"))
    assert message == (
        "cannot import module 'broken_module_of_test' from sys.path: "
        "ModuleNotFoundError: No module named 'module_that_there_is_not'"
    )
    assert "broken_module_of_test.py" in "".join(traceback.format_exception(cause))


def test_missing_class():
    message, _ = failure(python_param("Missing"))
    file = sys.modules["user_layers_of_test"].__file__
    assert message == f"module 'user_layers_of_test' ({file}) has no class 'Missing'"


@pytest.mark.parametrize("name", ["NoLayer", "not_a_class"])
def test_class_that_is_no_layer(name):
    message, _ = failure(python_param(name))
    assert message == f"'{name}' of module 'user_layers_of_test' is no subclass of pycaffe_lite.Layer"


@pytest.mark.parametrize(("text", "field"), [('layer: "A"', "module"), ('module: "m"', "layer")])
def test_module_and_layer_must_be_given(text, field):
    message, _ = failure(f'type: "Python" python_param {{ {text} }}')
    assert message == f"needs python_param {{ {field}: ... }}, which is not given"


@pytest.mark.parametrize(
    ("layer", "verb", "message", "kind"),
    [
        ("Breaks", "setup", "Breaks.setup raised ValueError: wrong setup", ValueError),
        ("Breaks", "reshape", "Breaks.reshape raised KeyError: 'size'", KeyError),
        ("Breaks", "forward", "Breaks.forward raised AssertionError", AssertionError),
        (
            "Breaks",
            "backward",
            "Breaks.backward raised NotImplementedError: Breaks has no backward(top, propagate_down, bottom)",
            NotImplementedError,
        ),
        (
            "Unfinished",
            "",
            "Unfinished.forward raised NotImplementedError: Unfinished has no forward(bottom, top)",
            NotImplementedError,
        ),
        (
            "NeedsMore",
            "",
            "NeedsMore.__init__ raised TypeError: NeedsMore.__init__() missing 1 required positional "
            "argument: 'more'",
            TypeError,
        ),
    ],
)
def test_exceptions_of_the_user_are_the_cause(layer, verb, message, kind):
    said, cause = failure(python_param(layer, f'param_str: "{verb}"'))
    assert said == message
    assert type(cause) is kind
    if verb == "forward":
        assert "in broken_line" in "".join(traceback.format_exception(cause))


def test_base_class_shapes_nothing():
    with pytest.raises(NotImplementedError, match=r"^PythonLayerBase has no reshape\(bottom, top\)$"):
        PythonLayerBase(caffe_pb2.LayerParameter()).reshape([], [])

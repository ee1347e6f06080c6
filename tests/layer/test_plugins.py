"""Layer types that installed packages bring, shown with a distribution made on the path."""

import sys

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer import registry
from pycaffe_lite.layer.registry import layer_types, load_plugins

MODULE = '''
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.registry import register_layer


@register_layer("Doubled", param="python_param")
class DoubledLayer(NeuronLayer):
    """Twice the value: y = 2 x."""

    def forward(self, bottom, top):
        top[0].data[...] = float(self.param.param_str or 2) * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        pass
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes a package that brings types: each by its name and the value of its entry point."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.layer_types()  # imports all
    before = registry._types.copy()

    def install_package(points, module=MODULE, package="doubling"):
        info = tmp_path / f"{package}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[pycaffe_lite.layers]\n{lines}")
        (tmp_path / "doubling_layers.py").write_text(module)

    yield install_package
    sys.modules.pop("doubling_layers", None)
    registry._types.clear()
    registry._types.update(before)
    registry._broken.clear()


@pytest.mark.parametrize("value", ["doubling_layers", "doubling_layers:DoubledLayer"])
def test_a_type_of_an_installed_package(install, value):
    install({"Doubled": value})
    rig = build_layer('type: "Doubled" python_param { param_str: "3" }', [np.ones((2, 3))])
    np.testing.assert_array_equal(rig.forward()[0], np.full((2, 3), 3))


def test_such_types_are_listed_with_the_package_as_their_origin(install):
    install({"Doubled": "doubling_layers"})
    assert "Doubled" not in layer_types()
    load_plugins()
    assert layer_types()["Doubled"].origin == "the package doubling 1.5"


def test_a_name_nearly_that_of_such_a_type(install):
    install({"Doubled": "doubling_layers"})
    with pytest.raises(LayerError) as raised:
        build_layer('type: "Doubeld"', [np.ones(2)])
    assert str(raised.value) == (
        "layer 'layer': unknown layer type 'Doubeld', did you mean 'Doubled'? "
        "('pycaffe-lite layers' lists all known types)"
    )


@pytest.mark.parametrize(
    ("points", "module", "problem"),
    [
        (
            {"Doubled": "doubling_layers"},
            "import nothing_of_this_name",
            "the package doubling 1.5 brings it, but 'doubling_layers' fails: ModuleNotFoundError: "
            "No module named 'nothing_of_this_name'",
        ),
        (
            {"Doubled": "doubling_layers:Tripled"},
            MODULE.replace('"Doubled"', '"Tripled"'),
            "the package doubling 1.5 brings it, but 'doubling_layers:Tripled' fails: AttributeError: "
            "module 'doubling_layers' has no attribute 'Tripled'",
        ),
        (
            {"Doubled": "doubling_layers"},
            MODULE.replace('"Doubled"', '"Tripled"'),
            "the package doubling 1.5 brings it, but registers no layer type of this name",
        ),
        (
            {"Doubled": "doubling_layers"},
            MODULE.replace('"Doubled"', '"ReLU"'),
            "the package doubling 1.5 brings it, but 'doubling_layers' fails: ValueError: "
            "layer type 'ReLU' is registered twice",
        ),
    ],
)
def test_a_broken_package(install, caplog, points, module, problem):
    install(points, module)
    with pytest.raises(LayerError) as raised:
        build_layer('type: "Doubled"', [np.ones(2)])
    assert str(raised.value) == f"layer 'layer': layer type 'Doubled' is not there: {problem}"
    load_plugins()
    assert caplog.messages == [f"layer type 'Doubled': {problem}"]


def test_two_packages_that_bring_one_type(install):
    install({"Doubled": "doubling_layers"})
    install({"Doubled": "doubling_layers:DoubledLayer"}, package="trebling")
    with pytest.raises(LayerError) as raised:
        build_layer('type: "Doubled"', [np.ones(2)])
    message = str(raised.value)
    assert message.startswith("layer 'layer': layer type 'Doubled' is not there: several packages bring it, ")
    assert "the package doubling 1.5" in message
    assert message.endswith(": uninstall all but one")


def test_a_type_of_the_package_itself_is_not_replaced(install):
    install({"ReLU": "doubling_layers"})
    rig = build_layer('type: "ReLU"', [-np.ones(2)])
    np.testing.assert_array_equal(rig.forward()[0], [0, 0])


def test_an_unknown_type_says_how_to_bring_ones_own():
    with pytest.raises(LayerError) as raised:
        build_layer('type: "Qwxz"', [])
    assert str(raised.value) == (
        "layer 'layer': unknown layer type 'Qwxz' ('pycaffe-lite layers' lists all known types; a type of "
        "your own can be a Python layer, or come from an installed package with an entry point "
        "pycaffe_lite.layers)"
    )

"""Whole models, as exporters write them: what the nets of Caffe's layers give against what their makers gave.

The models were recorded by the scripts that stand beside them.
"""

import numpy as np
import pytest
from imported_models import types
from paths import FIXTURES

from pycaffe_lite import TEST, Net
from pycaffe_lite.export import from_onnx
from pycaffe_lite.formats.forks import fork_for
from pycaffe_lite.layer.registry import layer_type_list

FOLDER = FIXTURES / "onnx"
MODELS = sorted(path.stem for path in FOLDER.glob("*.onnx"))


def recorded(name):
    """The input of a model and the outputs that its maker gave."""
    with np.load(FOLDER / f"{name.removesuffix('_legacy').removesuffix('_dynamo')}.npz") as file:
        return file["x"], [file[key] for key in file if key != "x"]


def relative(got, wanted):
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("name", MODELS)
def test_the_net_gives_what_its_maker_gave(name):
    x, wanted = recorded(name)
    net = from_onnx(FOLDER / f"{name}.onnx", batch=len(x))
    got = net.run({"x": x})
    assert max(relative(a, b) for a, b in zip(got.values(), wanted, strict=True)) < 1e-5
    assert set(types(net)) <= set(layer_type_list())  # Caffe's own types
    assert fork_for(net.message, None) is None  # and fields


@pytest.mark.parametrize("name", ["lenet_legacy", "ssd_head_dynamo", "keras_classifier"])
def test_the_files_alone_give_it_too(name, tmp_path):
    x, wanted = recorded(name)
    made = from_onnx(FOLDER / f"{name}.onnx", batch=len(x))
    prototxt, weights = made.write(tmp_path / "net")
    net = Net(prototxt, TEST, weights=weights, strict=True)
    place = made.inputs[0]
    data = place.view.to_storage(x).reshape(net.blobs[place.blob].shape)
    got = net.forward(**{place.blob: data})
    for output, y in zip(made.outputs, wanted, strict=True):
        assert relative(output.view.from_storage(got[output.blob]), y) < 1e-5


@pytest.mark.parametrize(
    "name", ["resnet_legacy", "mobilenet_v2_dynamo", "shuffle_legacy", "keras_classifier"]
)
def test_the_batch_may_change_afterwards(name):
    x, _ = recorded(name)
    made = from_onnx(FOLDER / f"{name}.onnx", batch=len(x))
    once = {key: y.copy() for key, y in made.run({"x": x}).items()}
    net, place = made.net, made.inputs[0]
    data = place.view.to_storage(x).reshape(net.blobs[place.blob].shape)
    net.blobs[place.blob].reshape(3 * len(data), *data.shape[1:])
    got = net.forward(**{place.blob: np.concatenate([data] * 3)})
    for output in made.outputs:
        np.testing.assert_allclose(
            got[output.blob][len(data) : 2 * len(data)].ravel(),
            once[output.name].ravel(),
            rtol=1e-5,
            atol=1e-6,
        )


def test_types_that_are_allowed_are_used():
    def made(name, **kwargs):
        return types(from_onnx(FOLDER / f"{name}.onnx", **kwargs))

    assert "Clip" in made("mobilenet_v2_legacy")
    assert {"ReLU6"} == set(made("mobilenet_v2_legacy", allow=["ReLU6"])) - set(made("mobilenet_v2_legacy"))
    assert "Clip" not in made("mobilenet_v2_legacy", avoid=["Clip"])
    assert {"HardSwish", "HardSigmoid"} < set(made("mobilenet_v3_legacy", allow=["HardSwish", "HardSigmoid"]))
    assert "ShuffleChannel" in made("shuffle_legacy", allow=["ShuffleChannel"])
    assert "Slice" not in made("resnet_legacy", allow=["round_mode"])
    assert "Permute" in made("ssd_head_legacy", allow=["Permute"])


@pytest.mark.parametrize(
    ("name", "allow"),
    [
        ("mobilenet_v2_legacy", ["ReLU6"]),
        ("mobilenet_v3_legacy", ["HardSwish", "HardSigmoid"]),
        ("shuffle_legacy", ["ShuffleChannel"]),
        ("ssd_head_legacy", ["Permute"]),
        ("resnet_legacy", ["round_mode"]),
    ],
)
def test_types_that_are_allowed_give_the_same(name, allow):
    x, wanted = recorded(name)
    got = from_onnx(FOLDER / f"{name}.onnx", batch=len(x), allow=allow).run({"x": x})
    assert max(relative(a, b) for a, b in zip(got.values(), wanted, strict=True)) < 1e-5


def test_layers_and_blobs_have_the_names_of_nodes_and_tensors():
    net = from_onnx(FOLDER / "lenet_legacy.onnx")
    assert [layer.name for layer in net.message.layer][:4] == ["x", "/conv1/Conv", "/Relu", "/MaxPool"]
    assert list(net.net.blobs)[:3] == ["x", "/conv1/Conv_output_0", "/Relu_output_0"]


@pytest.mark.parametrize("name", ["keras_head", "lenet_legacy", "yolo_head_dynamo"])
def test_outputs_keep_their_names(name):
    net = from_onnx(FOLDER / f"{name}.onnx")
    assert [place.blob for place in net.outputs] == [value.name for value in net.model.graph.output]
    assert sorted(net.net.outputs) == sorted(place.blob for place in net.outputs)

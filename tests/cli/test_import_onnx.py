"""`pycaffe-lite import`."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from imported_models import model, node, random
from paths import FIXTURES

from pycaffe_lite import TEST, Net
from pycaffe_lite.export.importing import reference

MODELS = FIXTURES / "onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("resnet_legacy.onnx", "keras_unet.onnx", "keras_unet.npz"):
        shutil.copy(MODELS / name, tmp_path)
    monkeypatch.chdir(tmp_path)


def test_writes_a_net_and_its_weights(run):
    result = run("import", "resnet_legacy.onnx", "net", "--batch", "2", level=1)
    assert (result.code, result.err) == (0, [])
    table = [line.split() for line in result.out]
    assert ["net"] in table
    assert ["Convolution", "6"] in table
    *_, data, output, wrote = result.out
    assert data == "input 'x': blob 'x' 2 x 3 x 32 x 32"
    assert re.fullmatch(r"output '(\w+)': blob '\1' 2 x 7", output)
    assert re.fullmatch(
        r"wrote net.prototxt and net.caffemodel: ONNX Runtime differs by \d\.\de-\d\d of the largest value "
        r"at most \(output '\w+' on random \w+\)",
        wrote,
    )
    net = Net("net.prototxt", TEST, weights="net.caffemodel", strict=True)
    assert net.name == "net"
    assert net.inputs == ["x"]


def test_pictures_with_their_channels_last(run):
    result = run("import", "keras_unet.onnx", "net", "--no-check", level=1)
    last = "with the channels last"
    assert result.out[-3:] == [
        f"input 'x': blob 'x' 1 x 3 x 12 x 16, in the model 1 x 12 x 16 x 3 {last}",
        f"output 'Identity:0': blob 'Identity:0' 1 x 3 x 9 x 15, in the model 1 x 9 x 15 x 3 {last}",
        "wrote net.prototxt and net.caffemodel: not checked",
    ]


def test_given_inputs_are_tried_too(run, fails):
    with np.load("keras_unet.npz") as file:
        x = file["x"]
    np.save("x.npy", 1000 * x)
    assert run("import", "keras_unet.onnx", "net", "--input", "keras_unet.npz", level=1).code == 0
    assert run("import", "keras_unet.onnx", "net", "--input", "x.npy", level=1).code == 0
    np.savez("z.npz", z=x)
    result = run("import", "keras_unet.onnx", "other", "--input", "z.npz", level=2)
    assert result.err == ["Error: 'z.npz' has no array for input 'x' of the model"]
    Path("bad.npz").write_bytes(b"PK\x03\x04")
    result = run("import", "keras_unet.onnx", "other", "--input", "bad.npz", level=2)
    assert result.err[0].startswith("Error: 'bad.npz' is no NumPy file of numbers: ")
    assert not Path("other.prototxt").exists()


def test_what_differs_too_much_is_not_written(run):
    result = run("import", "resnet_legacy.onnx", "net", "--tolerance", "1e-12", level=2)
    assert result.code == 1
    (line,) = result.err
    assert line.startswith("Error: the net is not the model: output '")
    assert line.endswith("more than 1e-12; nothing was written (--tolerance accepts more)")
    assert not Path("net.prototxt").exists()


def test_all_nodes_that_are_refused_are_named(run):
    nodes = [node("a = Sin x"), node("y = Floor a")]
    Path("m.onnx").write_bytes(model(nodes, {"x": (1, 2)}).SerializeToString())
    result = run("import", "m.onnx", "net", level=2)
    assert (result.code, result.out) == (1, [])
    assert [line.split(":")[0] for line in result.err] == [
        "node 'Sin_a' (Sin)",
        "node 'Floor_y' (Floor)",
        "Error",
    ]
    assert result.err[-1] == "Error: Caffe's layers cannot express 2 nodes of the model"


def test_types_are_allowed_and_avoided(run, fails):
    nodes = node("y = Clip x a b")
    constants = {"a": np.float32(0), "b": np.float32(6)}
    Path("m.onnx").write_bytes(model(nodes, {"x": (1, 2)}, constants).SerializeToString())

    def made(*options):
        assert run("import", "m.onnx", "net", *options, level=1).code == 0
        return re.findall(r'type: "(\w+)"', Path("net.prototxt").read_text())

    assert made() == ["Input", "Clip"]
    assert made("--allow", "ReLU6,Permute") == ["Input", "ReLU6"]
    assert made("--avoid", "Clip") == ["Input", "ReLU", "Power", "ReLU", "Power"]
    assert fails("import", "m.onnx", "net", "--allow", "Foo").startswith(
        "Error: there is no use for type 'Foo'"
    )


def test_shapes_and_outputs(run, fails):
    nodes = [node("a = Relu x"), node("y = Floor a")]
    Path("m.onnx").write_bytes(model(nodes, {"x": ("n", 3, "h", "w")}).SerializeToString())
    assert "--shape x=1,3,N,N" in fails("import", "m.onnx", "net", "--output", "a")
    result = run("import", "m.onnx", "net", "--output", "a", "--shape", "x=1,3,4,5", level=1)
    assert result.out[-2] == "output 'a': blob 'a' 1 x 3 x 4 x 5"


def test_without_onnx_runtime(run, monkeypatch):
    monkeypatch.setattr(reference, "can_run", lambda: False)
    result = run("import", "resnet_legacy.onnx", "net", level=1)
    assert result.out[-1].endswith(": not checked, because onnxruntime is not installed")


def test_damaged_files(run, fails):
    Path("m.onnx").write_bytes(Path("resnet_legacy.onnx").read_bytes()[:1000])
    assert fails("import", "m.onnx", "net").startswith("Error: 'm.onnx' is damaged or not an ONNX model: ")
    assert fails("import", "none.onnx", "net") == "Error: no such file: 'none.onnx'"
    made = model(node("y = Add x c"), {"x": (1, 2)}, {"c": random(2)})
    Path("r.onnx").write_bytes(made.SerializeToString())
    result = run("import", "r.onnx", "no/net", level=2)
    assert result.code == 1
    assert result.err == ["Error: cannot write 'no/net.caffemodel': No such file or directory"]

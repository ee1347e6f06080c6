"""`pycaffe-lite export`, `fold`, `deploy` and `dump`."""

import sys

import numpy as np
import onnx
import pytest
from paths import FIXTURES, ROOT
from PIL import Image

import pycaffe_lite as caffe
from pycaffe_lite.export.onnx import check

LENET = (f"{ROOT}/models/lenet/lenet.prototxt", FIXTURES / "lenet" / "lenet_iter_50.caffemodel")
TEXT = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "sum" type: "Reduction" bottom: "conv" top: "sum" reduction_param { axis: 1 } }
"""


@pytest.fixture
def small(tmp_path):
    """The files of a net with random weights."""
    files = tmp_path / "small.prototxt", tmp_path / "small.caffemodel"
    files[0].write_text(TEXT)
    net = caffe.Net(files[0], caffe.TEST)
    generator = np.random.default_rng(0)
    for blob in net.params["bn"]:
        blob.data[...] = generator.uniform(0.5, 1.5, blob.shape)
    net.save(files[1])
    return files


def test_says_what_became_what_and_checks_it(run, small, tmp_path):
    out = tmp_path / "small.onnx"
    result = run("export", *small, out, level=2)
    assert result.code == 0
    lines = [line.split() for line in result.out]
    assert ["conv", "Convolution", "Conv"] in lines
    assert ["bn", "BatchNorm", "BatchNormalization"] in lines
    assert ["drop", "Dropout", "-"] in lines
    assert "inputs: data (2, 3, 6, 6)" in result.out
    assert "outputs: sum (2)" in result.out
    assert result.out[-1].startswith(f"wrote {out}: 4 nodes, opset 13, ")
    assert "ONNX Runtime" in result.out[-1]
    assert "of the largest value at most, on random inputs (output 'sum')" in result.out[-1]
    model = onnx.load(out)
    onnx.checker.check_model(model, full_check=True)
    assert [node.name for node in model.graph.node] == ["conv", "bn", "relu", "sum"]
    assert [node.output[0] for node in model.graph.node] == ["conv/conv", "conv/bn", "conv", "sum"]


def test_folded_with_an_open_batch_and_raw_pixels(run, small, tmp_path):
    options = ["--fold", "--batch", "dynamic", "--mean", "104,117,123", "--scale", 0.5, "--opset", 11]
    result = run("export", *small, tmp_path / "o.onnx", *options, level=2)
    assert result.code == 0
    assert result.out[:2] == [
        "bn (BatchNorm) folded into conv (Convolution)",
        "drop (Dropout) does nothing in TEST: taken out",
    ]
    assert "inputs: data (batch, 3, 6, 6)" in result.out
    model = onnx.load(tmp_path / "o.onnx")
    assert [node.op_type for node in model.graph.node] == ["Sub", "Mul", "Conv", "Relu", "ReduceSum"]
    assert model.opset_import[0].version == 11


def test_given_inputs_and_outputs(run, small, tmp_path):
    np.save(tmp_path / "in.npy", np.ones((3, 6, 6), np.float32))
    options = ["--input", tmp_path / "in.npy", "--output", "conv", "--batch", 5]
    result = run("export", *small, tmp_path / "o.onnx", *options, level=2)
    assert result.code == 0
    assert "inputs: data (5, 3, 6, 6)" in result.out
    assert "on random and the given inputs (output 'conv')" in result.out[-1]


def test_what_is_not_the_net_is_not_written(run, small, tmp_path, monkeypatch):
    monkeypatch.setattr(check._OnnxRuntime, "run", lambda self, inputs: {"sum": np.zeros(2, np.float32)})
    result = run("export", *small, tmp_path / "o.onnx", level=2)
    assert result.code == 1
    assert "the result is not the net: run by ONNX Runtime" in result.err[-1]
    assert "output 'sum' differs by 1 of its largest value, more than 0.0001" in result.err[-1]
    assert not (tmp_path / "o.onnx").exists()
    assert run("export", *small, tmp_path / "o.onnx", "--tolerance", 1, level=2).code == 0
    assert run("export", *small, tmp_path / "o.onnx", "--no-check", level=2).out[-1].endswith("; not checked")


def test_without_onnx_runtime(run, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("export", *small, tmp_path / "o.onnx", level=2)
    assert result.code == 0
    assert "; not checked: checking an export needs onnxruntime, which is not installed" in result.out[-1]


def test_without_onnx(run, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run("export", *small, tmp_path / "o.onnx", level=2)
    assert result.code == 1
    assert result.err[-1].startswith("Error: ONNX needs onnx, which is not installed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--opset", "10"], "exports are of opset 11 to"),
        (["--output", "none"], "no blob 'none' in net 'small'"),
        (["--mean", "1,2"], r"a mean of shape (2, 1, 1) does not fit an input of shape (2, 3, 6, 6)"),
        (["--input", "none.npy"], "no such file: 'none.npy'"),
    ],
)
def test_mistakes(run, small, tmp_path, options, message):
    result = run("export", *small, tmp_path / "o.onnx", *options, level=2)
    assert result.code == 1
    assert message in result.err[-1]
    assert not (tmp_path / "o.onnx").exists()


def test_a_layer_without_counterpart(run, small, tmp_path):
    python = 'type: "Python" python_param { module: "onnx_half" layer: "Half" }'
    small[0].write_text(f'{TEXT}layer {{ name: "p" {python} bottom: "sum" top: "p" }}')
    (tmp_path / "onnx_half.py").write_text(
        "import pycaffe_lite\nclass Half(pycaffe_lite.Layer):\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
    )
    result = run("export", *small, tmp_path / "o.onnx", level=2)
    assert result.code == 1
    assert "layer 'p' (Python): cannot be exported to ONNX: it runs Python code" in result.err[-1]


def test_weights_that_are_missing(run, small, tmp_path):
    small[0].write_text(TEXT.replace('name: "conv"', 'name: "other"'))
    result = run("export", *small, tmp_path / "o.onnx", level=2)
    assert f"'{small[1]}' has no weights for layer 'other' of '{small[0]}'" in result.err[-1]


def test_lenet_for_opencv(run, tmp_path):
    pytest.importorskip("cv2")
    result = run("export", *LENET, tmp_path / "lenet.onnx", "--for", "opencv5", "--batch", 1, level=2)
    assert result.code == 0
    assert "OpenCV 5" in result.out[-1]


def test_fold(run, small, tmp_path):
    result = run("fold", *small, tmp_path / "f", level=2)
    assert result.code == 0
    assert result.out[2:4] == [f"wrote {tmp_path}/f.prototxt", f"wrote {tmp_path}/f.caffemodel"]
    assert result.out[-1].startswith("2 layers fewer; the outputs differ by ")
    own, folded = (
        caffe.Net(file.with_suffix(".prototxt"), caffe.TEST, weights=file.with_suffix(".caffemodel"))
        for file in (small[0], tmp_path / "f")
    )
    data = np.random.default_rng(1).standard_normal((2, 3, 6, 6))
    np.testing.assert_allclose(folded.forward(data=data)["sum"], own.forward(data=data)["sum"], rtol=1e-5)
    assert "BatchNorm" not in (tmp_path / "f.prototxt").read_text()


def test_deploy(run, folder):
    result = run("deploy", "net.prototxt", "deploy.prototxt", level=2)
    assert result.out == [
        "loss (SoftmaxWithLoss) becomes Softmax 'prob'.",
        "wrote deploy.prototxt: 3 layers",
    ]
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    assert net.outputs == ["prob"]
    assert net.blobs["data"].shape == (1, 1, 6, 6)


def test_dump(run, small, tmp_path):
    np.savez(tmp_path / "in.npz", data=np.ones((2, 3, 6, 6), np.float32))
    result = run("dump", *small, tmp_path / "in.npz", tmp_path / "all.npz", level=2)
    assert result.out == [f"wrote {tmp_path}/all.npz: 6 blobs"]
    with np.load(tmp_path / "all.npz") as file:
        assert file.files == ["data", "conv/conv", "conv/bn", "conv/relu", "conv", "sum"]


def test_dump_of_a_picture(run, small, tmp_path):
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[..., 0] = 200  # red
    Image.fromarray(pixels).save(tmp_path / "red.png")
    options = ["--mean", "10,20,30", "--scale", 0.5]
    assert run("dump", *small, tmp_path / "red.png", tmp_path / "all.npz", *options, level=2).code == 0
    with np.load(tmp_path / "all.npz") as file:
        assert file["data"][:, :, 0, 0].tolist() == [[-5, -10, 85]] * 2


def test_dump_of_a_file_that_is_none(run, small, tmp_path):
    (tmp_path / "in.npz").write_text("nothing")
    result = run("dump", *small, tmp_path / "in.npz", tmp_path / "all.npz", level=2)
    assert result.err[-1].startswith(f"Error: cannot read '{tmp_path}/in.npz'")

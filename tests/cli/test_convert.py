"""`pycaffe-lite convert`, `merge` and `split`."""

from pathlib import Path

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.formats import binaryproto, conversion
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer {
  name: "conv/a" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "side" type: "Power" bottom: "conv" top: "side" power_param { scale: 2 } }
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } }
}
"""
FORMATS = [".caffemodel", ".caffemodel.h5", ".npz", ".safetensors"]


@pytest.fixture(autouse=True)
def net(tmp_path, monkeypatch):
    """A net whose prototxt and weights are in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.save("net.caffemodel")
    return net


def weights_of(path):
    return {
        layer.name: [blob.data for blob in layer.blobs]
        for layer in conversion.read(path).layers
        if layer.blobs
    }


@pytest.mark.parametrize("there", FORMATS[1:])
@pytest.mark.parametrize("back", FORMATS)
def test_there_and_back(run, net, there, back):
    if there == back:
        return
    result = run("convert", "net.caffemodel", f"a{there}", level=1)
    assert result == (0, [f"wrote a{there}: 2 layers with weights, 160 values"], [])
    assert run("convert", f"a{there}", f"b{back}", level=1).code == 0
    weights = weights_of(f"b{back}")
    assert set(weights) == {"conv/a", "ip"}
    for name, blobs in weights.items():
        for blob, own in zip(blobs, net.params[name], strict=True):
            np.testing.assert_array_equal(blob, own.data)


def test_names_of_arrays(run):
    run("convert", "net.caffemodel", "a.npz", level=1)
    with np.load("a.npz") as file:
        assert {name: file[name].shape for name in file} == {
            "conv/a/0": (4, 3, 3, 3),
            "conv/a/1": (4,),
            "ip/0": (2, 24),
        }


def test_means(run):
    binaryproto.write("mean.binaryproto", np.ones((1, 3, 4, 5), np.float32))
    assert run("convert", "mean.binaryproto", "mean.npy", level=1).out == [
        "wrote mean.npy: 3 x 4 x 5, mean 1"
    ]


def test_misuse(misused):
    assert misused("convert", "net.caffemodel", "b.caffemodel") == (
        "Error: Both names end in .caffemodel: there is nothing to convert."
    )
    assert misused("convert", "net.caffemodel", "b.bin").startswith(
        "Error: the name 'b.bin' ends in none of "
    )


def test_what_cannot_be_converted(fails):
    np.savez("a.npz", weights=np.ones(3))
    assert fails("convert", "a.npz", "b.caffemodel") == (
        "Error: 'a.npz' holds an array 'weights': blob 0 of layer conv1 is named 'conv1/0'"
    )
    np.savez("a.npz", **{"conv1/1": np.ones(3)})
    assert (
        fails("convert", "a.npz", "b.caffemodel") == "Error: 'a.npz' lacks 'conv1/0', blob 0 of layer 'conv1'"
    )
    np.savez("a.npz", **{"conv1/0": np.array(["a"])})
    assert fails("convert", "a.npz", "b.caffemodel") == "Error: 'a.npz': 'conv1/0' holds no numbers"
    np.savez("a.npz", **{"conv1/0": np.array([None])})
    assert fails("convert", "a.npz", "b.caffemodel").startswith("Error: 'a.npz' is damaged or no .npz file: ")
    assert fails("convert", "none.npz", "b.caffemodel") == "Error: no such file: 'none.npz'"


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_damaged_files(run, ending):
    run("convert", "net.caffemodel", f"a{ending}", level=1)
    content = Path(f"a{ending}").read_bytes()
    random = np.random.default_rng(1)
    codes = set()
    for trial in range(40):
        data = bytearray(content)
        if trial % 2:
            data = data[: random.integers(len(data))]
        else:
            data[random.integers(len(data))] ^= 1 << random.integers(8)
        Path(f"b{ending}").write_bytes(data)
        result = run("convert", f"b{ending}", "c.caffemodel", level=2)
        assert len(result.err) == result.code
        codes.add(result.code)
    assert codes == {0, 1}


@pytest.mark.parametrize("ending", FORMATS)
def test_merge_and_split(run, net, ending):
    if ending != ".caffemodel":
        run("convert", "net.caffemodel", f"net{ending}", level=1)
    result = run("merge", "net.prototxt", f"net{ending}", "whole.caffemodel", level=1)
    assert result == (0, ["wrote whole.caffemodel: 5 layers, 2 of them with weights"], [])
    result = run("split", "whole.caffemodel", "again.prototxt", "again.npz", level=1)
    assert result == (0, ["wrote again.prototxt: 5 layers", "wrote again.npz: 160 values"], [])
    assert read_net("again.prototxt").message == read_net("net.prototxt").message
    again = caffe.Net("again.prototxt", caffe.TEST, weights="whole.caffemodel")
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    np.testing.assert_array_equal(again.forward(data=x)["ip"], net.forward(data=x)["ip"])


def test_merge_refuses_what_does_not_fit(fails):
    Path("other.prototxt").write_text(NET.replace("num_output: 2", "num_output: 3"))
    assert "blob 0 of shape (2, 24) in the file, (3, 24) in the net" in fails(
        "merge", "other.prototxt", "net.caffemodel", "whole.caffemodel"
    )
    Path("other.prototxt").write_text(NET.replace('"ip"', '"fc"'))
    assert fails("merge", "other.prototxt", "net.caffemodel", "whole.caffemodel") == (
        "Error: 'net.caffemodel' has no weights for layer 'fc' of 'other.prototxt'"
    )


def test_split_takes_out_the_splits_of_a_training(run):
    """A snapshot holds Split layers and phases that the net has put in; `side` and `ip` read one blob."""
    assert any(layer.type == "Split" for layer in conversion.read("net.caffemodel").layers)
    assert run("split", "net.caffemodel", "again.prototxt", level=1).out == ["wrote again.prototxt: 5 layers"]
    assert read_net("again.prototxt").message.layer == read_net("net.prototxt").message.layer


def test_split_of_old_files(run):
    old = caffe_pb2.NetParameter(name="old", input=["data"], input_dim=[1, 2, 1, 1])
    layer = old.layers.add(
        name="ip", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT, bottom=["data"], top=["ip"]
    )
    layer.inner_product_param.num_output = 2
    layer.blobs_lr.extend([1, 2])
    layer.blobs.add(num=1, channels=1, height=2, width=2, data=[0, 1, 2, 3])
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[0, 1])
    Path("old.caffemodel").write_bytes(old.SerializeToString())
    assert run("split", "old.caffemodel", "old.prototxt", level=2).code == 0
    net = caffe.Net("old.prototxt", caffe.TEST, weights="old.caffemodel")
    np.testing.assert_array_equal(net.forward(data=np.full((1, 2, 1, 1), 2.0))["ip"], [[2, 11]])
    text = Path("old.prototxt").read_text()
    assert 'type: "InnerProduct"' in text
    assert "blobs" not in text


def test_split_of_files_of_2013(run):
    old = caffe_pb2.NetParameter(name="old", input=["data"], input_dim=[1, 2, 1, 1])
    outer = old.layers.add(bottom=["data"], top=["ip"])
    outer.layer.name, outer.layer.type, outer.layer.num_output = "ip", "innerproduct", 1
    outer.layer.blobs.add(num=1, channels=1, height=1, width=2, data=[1, 2])
    outer.layer.blobs.add(num=1, channels=1, height=1, width=1, data=[3])
    Path("old.caffemodel").write_bytes(old.SerializeToString())
    assert run("split", "old.caffemodel", "old.prototxt", level=2).code == 0
    net = caffe.Net("old.prototxt", caffe.TEST, weights="old.caffemodel")
    np.testing.assert_array_equal(net.forward(data=np.ones((1, 2, 1, 1)))["ip"], [[6]])


def test_split_needs_a_net(run, fails):
    run("convert", "net.caffemodel", "a.npz", level=1)
    run("convert", "a.npz", "a.caffemodel", level=1)
    assert fails("split", "a.caffemodel", "a.prototxt") == (
        "Error: 'a.caffemodel' holds weights by name only: it does not describe a net"
    )

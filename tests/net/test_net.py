"""Net as pycaffe's programs use it."""

import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import ArgumentError, FileLookupError
from pycaffe_lite.layer.replay import is_by_shapes
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
TEXT = """
name: "small"
force_backward: true
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "extra" type: "Power" bottom: "y" top: "z" include { phase: TRAIN } }
layer { name: "staged" type: "Power" bottom: "y" top: "w" include { stage: "deploy" min_level: 1 } }
"""
X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def net(file):
    net = Net(file, TEST)
    rng = np.random.RandomState(0)
    for blob in net.learnable_params:
        blob.data[...] = rng.randn(*blob.shape)
    return net


def expected(net):
    w1, b1, w2, b2 = (blob.data for blob in net.learnable_params)
    h = np.maximum(net.blobs["x"].data @ w1.T + b1, 0)
    return h, h @ w2.T + b2


def test_parts(net):
    assert (net.inputs, net.outputs) == (["x"], ["y"])
    assert list(net.blobs) == ["x", "h", "y"]
    assert [layer.type for layer in net.layers] == ["Input", "InnerProduct", "ReLU", "InnerProduct"]
    assert list(net.params) == ["ip1", "ip2"]
    assert [blob.shape for blob in net.params["ip1"]] == [(4, 3), (4,)]
    assert net.layer_dict["relu"].type == "ReLU"
    assert (net.name, net.phase) == ("small", TEST)


def test_phase_level_and_stages_choose_layers(file):
    assert Net(file, TRAIN).outputs == ["z"]
    assert Net(file, TEST, level=1, stages=["deploy"]).outputs == ["w"]
    assert Net(file, TEST, 0, ["deploy"]).outputs == ["y"]


def test_both_forms_of_the_constructor_load_weights(net, file, tmp_path):
    net.save(tmp_path / "w.caffemodel")
    for other in (
        Net(file, TEST, weights=tmp_path / "w.caffemodel"),
        Net(str(file), str(tmp_path / "w.caffemodel"), TEST),
        Net(file, TEST, weights=f"{tmp_path / 'w.caffemodel'}, {tmp_path / 'w.caffemodel'}"),
    ):
        for mine, theirs in zip(net.learnable_params, other.learnable_params, strict=True):
            np.testing.assert_array_equal(mine.data, theirs.data)


def test_forward_returns_live_views_of_the_outputs(net):
    out = net.forward(blobs=["h"], x=X)
    h, y = expected(net)
    np.testing.assert_allclose(out["y"], y, rtol=1e-5)
    np.testing.assert_allclose(out["h"], h, rtol=1e-5)
    net.forward(x=2 * X)
    np.testing.assert_array_equal(out["y"], net.blobs["y"].data)


def test_forward_of_a_part(net):
    net.forward(x=X)
    net.blobs["h"].data[...] = 1
    out = net.forward(start="ip2")
    weights, bias = (blob.data for blob in net.params["ip2"])
    np.testing.assert_allclose(out["y"], np.tile(weights.sum(1) + bias, (2, 1)), rtol=1e-5)
    assert list(net.forward(end="relu")) == ["h"]


def test_backward_from_given_diffs(net):
    net.forward(x=X)
    h, _ = expected(net)
    dy = np.array([[1, -1], [0.5, 2]], np.float32)
    diffs = net.backward(y=dy, diffs=["h"])
    w1, w2 = net.params["ip1"][0], net.params["ip2"][0]
    dh = (dy @ w2.data) * (h > 0)
    np.testing.assert_allclose(diffs["x"], dh @ w1.data, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(w2.diff, dy.T @ h, rtol=1e-4, atol=1e-6)
    kept = w2.diff
    net.clear_param_diffs()
    assert not kept.any()
    assert not w2.diff.any()
    assert list(net.backward(start="ip2", end="ip2")) == ["h"]


def test_reshape_for_another_batch(net):
    net.blobs["x"].reshape(5, 3)
    net.reshape()
    assert net.blobs["y"].shape == (5, 2)
    assert net.forward(x=np.ones((5, 3)))["y"].shape == (5, 2)


def test_scalars_are_broadcast(net):
    net.forward(x=np.array([[7.0], [8.0]]))
    np.testing.assert_array_equal(net.blobs["x"].data, [[7, 7, 7], [8, 8, 8]])


def test_double_precision(file):
    net = Net(file, TEST, dtype=np.float64)
    assert {blob.data.dtype for blob in [*net.blobs.values(), *net.learnable_params]} == {np.dtype("float64")}
    assert net.forward(x=X)["y"].dtype == np.float64


def test_callbacks_see_every_layer(net):
    seen = []
    net.before_forward(lambda i: seen.append(("before", i)))
    net.after_forward(lambda i: seen.append(("after", i)))
    net.before_backward(lambda i: seen.append(("back", i)))
    net.after_backward(lambda i: seen.append(("done", i)))
    net.forward(x=X)
    net.backward(y=np.ones((2, 2)))
    assert seen[:8] == [(when, i) for i in range(4) for when in ("before", "after")]
    assert seen[8:] == [(when, i) for i in (3, 2, 1, 0) for when in ("back", "done")]


def test_the_saved_net_is_the_net_as_built(net):
    param = net.to_proto()
    assert [layer.name for layer in param.layer] == ["in", "ip1", "relu", "ip2"]
    assert {layer.phase for layer in param.layer} == {TEST}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net: net.forward(z=X),
            "the input arguments are z, but the net's inputs are x",
        ),
        (
            lambda net: net.forward(x=np.ones((3, 3))),
            "blob 'x' has shape (2, 3), got an array of shape (3, 3); reshape the blob first for another "
            "batch size",
        ),
        (
            lambda net: net.forward(x=np.ones((2, 4))),
            "blob 'x' has shape (2, 3), an array of shape (2, 4) does not fit it",
        ),
        (lambda net: net.forward(start="nowhere"), "no layer 'nowhere' in net 'small'"),
        (lambda net: net.forward(blobs=["nothing"]), "no blob 'nothing' in net 'small'"),
        (lambda net: net.backward(x=X), "the output arguments are x, but the net's outputs are y"),
        (
            lambda net: net.set_input_arrays(X, X),
            "set_input_arrays needs a net that begins with a MemoryData layer, not with layer 'in' (Input)",
        ),
    ],
)
def test_wrong_calls(net, call, message):
    with pytest.raises(ArgumentError) as raised:
        call(net)
    assert str(raised.value) == message


def test_wrong_dtype(file):
    with pytest.raises(ArgumentError) as raised:
        Net(file, TEST, dtype="int32")
    assert str(raised.value) == "a net's dtype is float32 or float64, not int32"


def test_missing_files_are_runtime_errors_as_in_pycaffe(file, tmp_path):
    for call in (
        lambda: Net(tmp_path / "none.prototxt", TEST),
        lambda: Net(file, TEST, weights=tmp_path / "none.caffemodel"),
    ):
        with pytest.raises(FileLookupError) as raised:
            call()
        assert isinstance(raised.value, RuntimeError)
        assert str(raised.value).startswith(f"no such file: '{tmp_path}/none.")


def test_inputs_without_shape_wait_for_the_caller():
    net = Net.from_document(parse("layer { name: 'in' type: 'Input' top: 'x' }", caffe_pb2.NetParameter))
    assert net.blobs["x"].count == 0
    net.blobs["x"].reshape(2, 2)
    assert net.forward(x=np.eye(2))["x"].tolist() == [[1, 0], [0, 1]]


def test_layers_follow_shapes_that_change_and_rest_while_none_does(net, monkeypatch):
    net.forward_loss()
    follow = [layer for layer in net.layers if is_by_shapes(layer)]
    shaped = []
    for layer in net.layers:
        reshape = layer.reshape
        monkeypatch.setattr(
            layer,
            "reshape",
            lambda bottom, top, layer=layer, reshape=reshape: (shaped.append(layer), reshape(bottom, top)),
        )
    assert follow
    net.forward_loss()
    assert not set(shaped) & set(follow)
    net.blobs["x"].reshape(4, 3)
    net.forward_loss()
    assert set(shaped) >= set(follow)
    assert all(net.blobs[name].shape[0] == 4 for layer in follow for name in net.top_names[layer.name])


SHARING = """
    layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }
    layer { name: 'flat' type: 'Flatten' bottom: 'x' top: 'flat' }
    layer { name: 'one' type: 'Concat' bottom: 'x' top: 'one' }
    layer { name: 'whole' type: 'Slice' bottom: 'x' top: 'whole' }
    layer { name: 'again' type: 'Reshape' bottom: 'x' top: 'again' reshape_param { shape { dim: -1 } } }
    layer { name: 'power' type: 'Power' bottom: 'x' top: 'power' power_param { scale: 2 } }"""


@pytest.mark.parametrize("change", ["shared", "grown", "shrunken", "parted"])
def test_layers_that_share_memory_follow_it(change):
    net = Net.from_document(parse(SHARING, caffe_pb2.NetParameter))
    x = net.blobs["x"]
    net.forward()
    if change == "shared":
        x.share_data(Blob((2, 3)))
    elif change == "grown":
        x.reshape(4, 3)
    elif change == "shrunken":
        x.reshape(1, 3)
    else:  # a top, which must come back to its bottom
        for top in ("flat", "one", "whole", "again"):
            net.blobs[top].share_data(Blob((2, 3)))
    values = np.arange(x.count, dtype=np.float32).reshape(x.shape)
    net.forward(x=values)
    for top in ("flat", "one", "whole", "again"):
        assert np.array_equal(net.blobs[top].data.ravel(), values.ravel())
    assert np.array_equal(net.blobs["power"].data, 2 * values)
    assert net.layers[1].type == "Split"


def test_nothing_is_reshaped_while_layers_only_share_memory(monkeypatch):
    net = Net.from_document(parse(SHARING, caffe_pb2.NetParameter))
    net.forward()
    monkeypatch.setattr(Node, "reshape", lambda node: pytest.fail(node.layer.name))
    net.forward()

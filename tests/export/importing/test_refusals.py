"""What is refused, and in which words: damaged models, and what Caffe's layers cannot express."""

import logging

import numpy as np
import pytest
from imported_models import imported, model, node, random
from onnx import TensorProto, helper
from paths import FIXTURES

from pycaffe_lite.errors import ArgumentError, FileLookupError, OnnxError
from pycaffe_lite.export import from_onnx
from pycaffe_lite.export.importing import reading, reference

LENET = FIXTURES / "onnx" / "lenet_legacy.onnx"
X = {"x": (1, 4, 6, 6)}


def refusal(*args, **kwargs):
    with pytest.raises(OnnxError) as error:
        imported(*args, **kwargs)
    return error.value


def test_each_node_is_named_with_what_could_be_done_instead():
    nodes = [
        node("a = Sin x"),
        node("b = Relu a"),
        node("c = NonZero b"),
        node("d = QuantizeLinear b s"),
        node("y = MaxPool b", kernel_shape=[2, 2], dilations=[2, 2]),
    ]
    error = refusal(nodes, X, {"s": np.float32(0.1)}, "y c d")
    assert str(error) == "Caffe's layers cannot express 4 nodes of the model"
    cut = "end the net before it (--output TENSOR) and do it in the program around the net"
    assert error.problems == [
        f"node 'Sin_a' (Sin): Caffe has no layer that computes it; {cut}",
        f"node 'NonZero_c' (NonZero): Caffe has no layer for it; {cut}",
        "node 'QuantizeLinear_d' (QuantizeLinear): the model is quantised; export the model as it was before "
        "it was quantised: Caffe computes in float32",
        "node 'MaxPool_y' (MaxPool): its windows have gaps (dilations), which Caffe's pooling lacks",
    ]


def test_nodes_behind_one_whose_result_has_no_known_shape_are_named_too():
    nodes = [node("a = NonZero x"), node("b = Relu a"), node("c = Sin b"), node("y = Foo c")]
    nodes[-1].domain = "com.microsoft"
    problems = refusal(nodes, X).problems
    assert [problem.split(":")[0] for problem in problems] == [
        "node 'NonZero_a' (NonZero)",
        "node 'Sin_c' (Sin)",
        "node 'Foo_y' (Foo)",
    ]


def test_a_net_can_end_before_what_is_refused():
    nodes = [node("a = Relu x"), node("y = NonZero a")]
    net = imported(nodes, X, ends=["a"])
    assert [place.name for place in net.outputs] == ["a"]


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        (node("y = Conv x w"), {"w": random(3, 5, 3, 3)}, "it has weights of shape (3, 5, 3, 3) in 1 groups"),
        (node("y = MaxPool x", kernel_shape=[2, 2, 2]), {}, "it is wrong: "),
        (node("y = Foo x"), {}, "version 18 of ONNX has no such operator; export the model again"),
        (node("y = Cast x", to=7), {}, "Caffe has no layer that cuts off fractions"),
        (node("y = Pad x p v"), {"p": np.array([0, 0, 1, 1] * 2), "v": np.float32(-np.inf)}, "with infinity"),
        (node("y = Pow x x"), {}, "Caffe has no layer that raises to powers"),
        (node("y = Dropout x r t"), {"r": np.float32(0.5), "t": np.array(True)}, "it is one of a training"),
        (
            node("y m n = BatchNormalization x g g g v", training_mode=1),
            {"g": random(4), "v": np.ones(4, "f")},
            "it is one of a training",
        ),
        (node("y = Expand x s"), {"s": np.array([2**20, 4, 2**6, 2**6])}, ""),
        (
            node("y = Resize x _ s", mode="linear", antialias=1),
            {"s": np.array([1, 1, 0.5, 0.5], "f")},
            "antialias",
        ),
    ],
)
def test_why_a_node_is_refused(nodes, constants, words):
    error = refusal(nodes, X, constants, opset=18)
    assert words in str(error)
    assert str(error).startswith("Caffe's layers cannot express a node of the model: node '")


def test_huge_constants_are_not_made():
    nodes = [node("c = ConstantOfShape s"), node("y = Add x c")]
    error = refusal(nodes, X, {"s": np.array([2**20, 2**20])})
    assert "(1048576, 1048576), which is too large" in str(error)


def test_operators_of_others():
    made = model(node("y = Relu x"), X)
    made.graph.node[0].domain = "com.microsoft"
    with pytest.raises(
        OnnxError, match="it is an operator of ONNX Runtime's own; import the model from before"
    ):
        from_onnx(made)


def test_open_sizes():
    made = model(node("y = Relu x"), {"x": ("batch", 3, "height", 5)})
    with pytest.raises(OnnxError, match=r"'x' has no fixed size \('height'\): say it by --shape x=1,3,N,5"):
        from_onnx(made)
    assert from_onnx(made, shapes={"x": (2, 3, 4, 5)}).input_shapes == {"x": (2, 3, 4, 5)}
    with pytest.raises(OnnxError, match="the model has no input 'z'"):
        from_onnx(made, shapes={"x": (2, 3, 4, 5), "z": (1,)})


def test_arguments():
    made = model(node("y = Relu x"), X)
    with pytest.raises(ArgumentError, match="there is no use for type 'Foo' here"):
        from_onnx(made, allow=["Foo"])
    with pytest.raises(OnnxError, match="the model makes no tensor 'z'"):
        from_onnx(made, outputs=["z"])
    with pytest.raises(FileLookupError, match="no such file"):
        from_onnx("none.onnx")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<html><body>not found</body></html>", "is a web page, not an ONNX model"),
        (b"\x08\x07\x12\xff\xff\xff", "is damaged or not an ONNX model"),
        (b"\x08\x07", "it has no graph"),
    ],
)
def test_other_files(tmp_path, content, words):
    file = tmp_path / "a.onnx"
    file.write_bytes(content)
    with pytest.raises(OnnxError, match=words):
        from_onnx(file)


def test_damaged_files_give_one_line(tmp_path, caplog):
    """A short form of what was tried on many more: each file gives a net or an error."""
    caplog.set_level(logging.CRITICAL)
    content = LENET.read_bytes()
    random_numbers = np.random.default_rng(1)
    file = tmp_path / "a.onnx"
    refused = []
    for trial in range(60):
        data = bytearray(content)
        if trial % 3 == 0:
            data = data[: random_numbers.integers(len(data))]
        else:
            for place in random_numbers.integers(0, len(data) if trial % 3 == 1 else 1500, 3):
                data[place] ^= 1 << random_numbers.integers(8)
        file.write_bytes(data)
        try:
            from_onnx(file).net.forward()
        except OnnxError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in message for message in refused)


def damaged(change):
    made = model(node("y = Add x c"), X, {"c": random(6)})
    change(made)
    with pytest.raises(OnnxError) as error:
        from_onnx(made)
    return str(error.value)


def test_damaged_tensors():
    def shape(made):
        made.graph.initializer[0].dims[0] = 2**62

    def short(made):
        made.graph.initializer[0].raw_data = b"1234"

    def kind(made):
        made.graph.initializer[0].data_type = 99

    assert damaged(shape) == f"tensor 'c' has the impossible shape ({2**62},)"
    assert damaged(short) == "tensor 'c' of shape (6,) holds 4 bytes"
    assert damaged(kind) == "tensor 'c' has the unknown data type 99"


def test_damaged_graphs():
    def cycle(made):
        made.graph.node[0].input[0] = "y"

    def nobody(made):
        made.graph.node[0].input[0] = "z"

    def twice(made):
        made.graph.node.add().CopyFrom(made.graph.node[0])

    def opset(made):
        made.opset_import[0].version = 999

    assert damaged(cycle) == "the model is damaged: node 'Add_y' needs its own result"
    assert damaged(nobody) == "the model is damaged: node 'Add_y' reads 'z', which nothing makes"
    assert damaged(twice) == "the model is damaged: tensor 'y' is made twice"
    assert damaged(opset).startswith("the model uses version 999 of ONNX's operators")


def with_external_weights(folder, location, **places):
    """A model whose constant lies in another file."""
    made = model(node("y = Add x c"), X, {"c": random(6)})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **places}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    path = folder / "a.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_weights_in_a_file_beside_the_model(tmp_path):
    values = random(6)
    (tmp_path / "weights").write_bytes(b"1234" + values.tobytes())
    net = from_onnx(with_external_weights(tmp_path, "weights", offset=4, length=24))
    ((weights,),) = net.layers.weights.values()
    np.testing.assert_array_equal(weights, values)


@pytest.mark.parametrize("location", ["../weights", "/etc/passwd", "link", "", "a/../../weights"])
def test_weights_elsewhere_are_not_read(tmp_path, location):
    (tmp_path / "weights").write_bytes(bytes(24))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "weights")
    with pytest.raises(OnnxError, match="which is not in the model's folder: only files there are read"):
        from_onnx(with_external_weights(folder, location))


def test_weights_that_are_cut_off(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(20))
    with pytest.raises(OnnxError, match="which has 20 bytes: those from 0 to 24 are missing"):
        from_onnx(with_external_weights(tmp_path, "weights"))
    with pytest.raises(OnnxError, match="20 bytes at 0 are no tensor of shape"):
        from_onnx(with_external_weights(tmp_path, "weights", length=20))


def test_functions_of_the_model_are_written_out():
    made = model([helper.make_node("Twice", ["x"], ["y"], domain="own")], X)
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    opset = helper.make_opsetid("", 17)
    made.functions.append(helper.make_function("own", "Twice", ["a"], ["b"], body, [opset]))
    made.opset_import.append(helper.make_opsetid("own", 1))
    net = from_onnx(made)
    x = random(1, 4, 6, 6)
    np.testing.assert_array_equal(net.run({"x": x})["y"], 2 * x)


def test_half_precision_becomes_float32():
    nodes = [node("a = Add x c"), node("b = Cast a", to=1), node("y = Cast b", to=10)]
    made = model(nodes, X, {"c": random(6).astype(np.float16)}, kinds={"x": "h"})
    net = from_onnx(made)
    assert max(one.relative for one in net.differences(net.random_inputs())) < 1e-3


def test_without_the_package_onnx(monkeypatch):
    monkeypatch.setattr(reading, "onnx", None)
    with pytest.raises(OnnxError, match=r"importing a model needs onnx, which is not installed; .*\[onnx\]"):
        from_onnx(LENET)


def test_without_onnx_runtime(monkeypatch):
    monkeypatch.setattr(reference, "can_run", lambda: False)
    net = from_onnx(LENET)
    with pytest.raises(OnnxError, match="comparing with the model needs onnxruntime, which is not installed"):
        net.differences(net.random_inputs())


def test_scans_of_version_8_are_refused():
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "v"], ["t"]), helper.make_node("Identity", ["t"], ["o"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "sv"],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "to"],
    )
    scan = node("y z = Scan _ a x", num_scan_inputs=1, body=body)
    error = refusal(scan, {"a": (1, 2), "x": (1, 3, 2)}, outputs="y z", opset=8)
    assert "only version 8 of ONNX has it" in str(error)


def test_an_output_without_values_is_refused():
    nodes = [node("y = Shape x", start=2, end=1), node("z = Relu x")]
    error = refusal(nodes, X, outputs="y z")
    assert "output 'y': a tensor has the shape (0,)" in str(error)

"""Branches and loops that are written out, against ONNX Runtime."""

import numpy as np
import pytest
from imported_models import distance, imported, node, random, types
from onnx import TensorProto, helper, numpy_helper

from pycaffe_lite.errors import OnnxError

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def graph(nodes, inputs="", outputs="", kinds=None, constants=None):
    """A body: names of its inputs and outputs with spaces between them."""
    kinds = kinds or {}

    def values(names):
        kind_of = {name: kinds.get(name, F) for name in names.split()}
        return [helper.make_tensor_value_info(k, v, None if v == F else []) for k, v in kind_of.items()]

    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    return helper.make_graph(nodes, "body", values(inputs), values(outputs), initializers)


def test_a_branch_that_is_known():
    yes = graph([node("a = Relu x")], outputs="a")
    no = graph([node("b = Neg x")], outputs="b")
    for condition, type in ((True, "ReLU"), (False, "Power")):
        net = imported(
            node("y = If c", then_branch=yes, else_branch=no), {"x": (2, 3)}, {"c": np.array(condition)}
        )
        assert types(net) == [type]
        assert distance(net) == 0


def test_a_branch_that_is_computed():
    yes, no = graph([node("a = Relu x")], outputs="a"), graph([node("b = Neg x")], outputs="b")
    nodes = [node("s = ReduceSum x", keepdims=0), node("c = Greater s z")]
    nodes.append(node("y = If c", then_branch=yes, else_branch=no))
    with pytest.raises(OnnxError, match="its condition is computed from the net's input"):
        imported(nodes, {"x": (2, 3)}, {"z": np.float32(0)})


def recurrence(backward=False):
    body = graph(
        [node("m = MatMul s w"), node("a = Add m x"), node("n = Tanh a"), node("o = Identity n")],
        "s x",
        "n o",
    )
    directions = {"scan_input_directions": [1]} if backward else {}
    return node("h y = Scan i x", num_scan_inputs=1, body=body, **directions)


@pytest.mark.parametrize("backward", [False, True])
def test_scan(backward):
    constants = {"w": 0.5 * random(4, 4), "i": random(2, 4)}
    net = imported(recurrence(backward), {"x": (5, 2, 4)}, constants, "h y")
    assert distance(net) < 1e-6
    assert "Scan_h/4/MatMul_m" in [layer.name for layer in net.message.layer]


def test_loop_with_a_count_and_one_that_ends_itself():
    nodes = [node("v = Mul s f"), node("j = Add i k"), node("d = Less j e"), node("o = Identity v")]
    body = graph(nodes, "i c s", "d v o", {"i": I, "c": B, "d": B}, {"k": np.int64(1)})
    constants = {"m": np.int64(9), "e": np.int64(3), "t": np.array(True), "f": np.float32(2)}
    net = imported(node("z y = Loop m t x", body=body), {"x": (2, 3)}, constants, "z y")
    x = random(2, 3)
    got = net.run({"x": x})
    np.testing.assert_array_equal(got["z"], 8 * x)
    np.testing.assert_array_equal(got["y"], np.stack([2 * x, 4 * x, 8 * x]))
    assert distance(net) == 0


def test_a_loop_without_end():
    body = graph([node("v = Mul s s"), node("d = Identity c")], "i c s", "d v", {"i": I, "c": B, "d": B})
    with pytest.raises(
        OnnxError, match="it has 1025 steps of 2 nodes, too many to be written out one by one"
    ):
        imported(
            node("y = Loop m t x", body=body), {"x": (2, 3)}, {"m": np.int64(2**40), "t": np.array(True)}
        )


def test_what_a_body_cannot_express_is_named_once():
    body = graph([node("n = Sin x"), node("o = Identity s")], "s x", "o n")
    scan = node("h y = Scan i x", num_scan_inputs=1, body=body)
    with pytest.raises(OnnxError, match=r"a node of the model: node 'Scan_h/0/Sin_n' \(Sin\)"):
        imported(scan, {"x": (5, 2)}, {"i": random(2)}, "h y")

"""Small ONNX models in one line, and how far the nets made of them are from ONNX Runtime."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pycaffe_lite.export import from_onnx

KINDS = {
    "f": TensorProto.FLOAT,
    "i": TensorProto.INT64,
    "b": TensorProto.BOOL,
    "h": TensorProto.FLOAT16,
    "u": TensorProto.UINT8,
}


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def node(line, **attributes):
    """node("y = Conv x w", strides=[2, 2]); a `_` stands for an input that is left out."""
    outputs, _, call = line.partition(" = ")
    operator, *inputs = call.split()
    inputs = ["" if name == "_" else name for name in inputs]
    return helper.make_node(
        operator, inputs, outputs.split(), name=f"{operator}_{outputs.split()[0]}", **attributes
    )


def model(nodes, inputs, constants=None, outputs="y", opset=17, kinds=None):
    """An ONNX model of nodes.

    Args:
        nodes: a list of `node(...)`, in order. inputs: shapes by name; constants: arrays by name.
        outputs: names, with spaces between them. kinds: of inputs that hold no float32, by name: "i".
    """
    nodes = nodes if isinstance(nodes, list) else [nodes]
    kinds = kinds or {}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(k, KINDS[kinds.get(k, "f")], v) for k, v in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def imported(*args, allow=(), avoid=(), batch=1, ends=(), **kwargs):
    """The net of a model that `model` makes of the arguments."""
    made = model(*args, **kwargs)
    return from_onnx(made, allow=allow, avoid=avoid, batch=batch, outputs=ends)


def distance(net, **given):
    """The largest difference to ONNX Runtime as a part of the largest value, on random inputs."""
    inputs = {**net.random_inputs(), **given}
    return max(difference.relative for difference in net.differences(inputs))


def types(net):
    """The types of a net's layers, in order, without Input."""
    return [layer.type for layer in net.message.layer if layer.type != "Input"]

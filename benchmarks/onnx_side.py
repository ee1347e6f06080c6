"""ONNX Runtime's side: the same prototxt as an ONNX model; forward passes only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from benchmarks import net_files
from benchmarks.works import Work
from pycaffe_lite.net.net import Net

OPSET = 17
IR_VERSION = 8


class OnnxGraph:
    """Our net's layers as ONNX nodes."""

    def __init__(self, net: Net) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        latest: dict[str, str] = {}  # blob → its latest version: in-place layers make new ones
        for layer in net.layers:
            bottoms = [latest.get(name, name) for name in net.bottom_names[layer.name]]
            tops = net.top_names[layer.name]
            if layer.type == "Input":
                continue
            if layer.type in ("Split", "Dropout"):
                latest.update(dict.fromkeys(tops, bottoms[0]))
                continue
            top = f"{tops[0]}@{layer.name}"
            getattr(self, f"_{layer.type.lower()}")(layer, bottoms, top)
            latest[tops[0]] = top
        output = latest[net.outputs[0]]
        shapes = [net.blobs[name].shape for name in (net.inputs[0], net.outputs[0])]
        value = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in zip((net.inputs[0], output), shapes, strict=True)
        ]
        graph = helper.make_graph(self.nodes, net.name, value[:1], value[1:], self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        self.model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)

    def _add(self, op: str, inputs: list[str], top: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [top], **attributes))

    def _constant(self, array: np.ndarray) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _convolution(self, layer: Any, bottoms: list[str], top: str) -> None:
        w = layer.window
        blobs = [self._constant(blob.data) for blob in layer.blobs]
        self._add(
            "Conv", bottoms + blobs, top, kernel_shape=w.kernel, strides=w.stride, pads=[*w.pad, *w.pad],
            dilations=w.dilation, group=layer.group,
        )  # fmt: skip

    def _innerproduct(self, layer: Any, bottoms: list[str], top: str) -> None:
        self._add("Flatten", bottoms, f"{top}/flat", axis=1)
        blobs = [self._constant(blob.data) for blob in layer.blobs]
        self._add("Gemm", [f"{top}/flat", *blobs], top, transB=1)

    def _pooling(self, layer: Any, bottoms: list[str], top: str) -> None:
        p = layer.param
        if p.global_pooling:
            self._add("GlobalAveragePool", bottoms, top)
            return
        size = {"kernel_shape": [p.kernel_size] * 2, "strides": [p.stride] * 2, "pads": [p.pad] * 4}
        self._add("MaxPool" if p.pool == p.MAX else "AveragePool", bottoms, top, ceil_mode=1, **size)

    def _relu(self, layer: Any, bottoms: list[str], top: str) -> None:
        self._add("Relu", bottoms, top)

    def _lrn(self, layer: Any, bottoms: list[str], top: str) -> None:
        p = layer.param
        self._add("LRN", bottoms, top, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)

    def _concat(self, layer: Any, bottoms: list[str], top: str) -> None:
        self._add("Concat", bottoms, top, axis=1)

    def _eltwise(self, layer: Any, bottoms: list[str], top: str) -> None:
        self._add("Add", bottoms, top)

    def _batchnorm(self, layer: Any, bottoms: list[str], top: str) -> None:
        factor = 1 / layer.blobs[2].data[0]
        mean, variance = (blob.data * factor for blob in layer.blobs[:2])
        arrays = [np.ones_like(mean), np.zeros_like(mean), mean, variance]
        names = [self._constant(array) for array in arrays]
        self._add("BatchNormalization", bottoms + names, top, epsilon=layer.param.eps)

    def _scale(self, layer: Any, bottoms: list[str], top: str) -> None:
        scale, shift = (self._constant(blob.data.reshape(-1, 1, 1)) for blob in layer.blobs)
        self._add("Mul", [*bottoms, scale], f"{top}/scaled")
        self._add("Add", [f"{top}/scaled", shift], top)

    def _softmax(self, layer: Any, bottoms: list[str], top: str) -> None:
        self._add("Softmax", bottoms, top, axis=1)


def prepare(work: Work, threads: int) -> Callable[[], object]:
    """One forward pass of the work, to be called again and again."""
    net = net_files.build(work)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    model = OnnxGraph(net).model.SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {net.inputs[0]: net_files.batch(work)["data"]}
    return lambda: session.run(None, feed)

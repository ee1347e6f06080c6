"""From a net to an ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.errors import ArgumentError, NetError
from pycaffe_lite.export.copies import net_for_export
from pycaffe_lite.export.inputs import fitting_mean
from pycaffe_lite.export.onnx import catalogue as catalogue
from pycaffe_lite.export.onnx.files import model_of, write_model
from pycaffe_lite.export.onnx.graph import Array, Graph, Shape, onnx_package
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converter_of, reason_of
from pycaffe_lite.export.onnx.shapes import blob_shapes, user_class
from pycaffe_lite.layer.data.input import InputLayer
from pycaffe_lite.net.graph import AUTO_TOP_NAME, Node
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split

TARGETS = ("onnxruntime", "opencv5")
DEFAULT_OPSET, OLDEST_OPSET = 13, 11


class Converted(NamedTuple):
    """What became of a layer: its name and type, and the operators of its nodes, in order."""

    name: str
    type: str
    operators: list[str]


class Export:
    """A net as an ONNX graph, ready to be written.

    Args:
        net: the net; it stays as it is. target: see `to_onnx`, and the others.

    Attributes:
        net: the copy that was exported, which shares the weights.
        graph: the nodes and constants. layers: what became of each layer.
    """

    def __init__(
        self,
        net: Net,
        *,
        target: str = "onnxruntime",
        opset: int = DEFAULT_OPSET,
        batch: int | str | None = None,
        outputs: Sequence[str] | None = None,
        mean: Array | None = None,
        scale: float | None = None,
    ) -> None:
        newest = onnx_package().defs.onnx_opset_version()
        if not OLDEST_OPSET <= opset <= newest:
            raise ArgumentError(f"exports are of opset {OLDEST_OPSET} to {newest}, not {opset}")
        if target not in TARGETS:
            raise ArgumentError(f"exports are for {' or '.join(TARGETS)}, not '{target}'")
        self.target, self._mean, self._scale = target, mean, scale
        self.net = net_for_export(net, None if batch == "dynamic" else batch)
        self.shapes = blob_shapes(self.net, dynamic=batch == "dynamic")
        if target == "opencv5":  # which does not know numbers without axes
            self.shapes = [shape or (1,) for shape in self.shapes]
        self.graph = Graph(opset, for_opencv=target == "opencv5")
        self.layers: list[Converted] = []
        self.values: dict[str, Shape] = {}  # the shape of each tensor that is a blob
        self.output_blobs: dict[str, int] = {}  # output → blob
        self.states: dict[str, str] = {}  # output → the input that goes on with it
        self._tensors: dict[int, str] = {}  # blob → what it is now
        self._makers: dict[str, tuple[int, str]] = {}  # tensor → its blob, and the layer it is from
        self.graph.reserve(self.net.graph.blob_names)
        for node in self.net.graph.nodes:
            self._add(node)
        self._name_tensors()
        self.states = dict(self.graph.states)
        self._add_outputs(outputs)

    # --------------------------------------------------------------- layer by layer

    def _add(self, node: Node) -> None:
        layer = node.layer
        if isinstance(layer, InputLayer):
            for i in node.top_ids:
                name = self.net.graph.blob_names[i]
                self.graph.inputs[name] = self.shapes[i]
                self._bind(i, name, "")
            if self.net.graph.inputs[0] in node.top_ids:
                self._prepare(node)
            return
        g = LayerGraph(
            self.graph,
            layer,
            [self._tensors[i] for i in node.bottom_ids],
            [self.shapes[i] for i in node.bottom_ids],
            [self.shapes[i] for i in node.top_ids],
        )
        start = len(self.graph.nodes)
        converter = converter_of(user_class(layer), self.target)
        if converter is None:
            raise g.refuse(reason_of(user_class(layer)))
        results = converter(g, layer)
        tensors = [results] if isinstance(results, str) else list(results)
        for k, (i, tensor) in enumerate(zip(node.top_ids, tensors, strict=True)):
            in_place = k < len(node.bottom_ids) and node.bottom_ids[k] == i
            self._bind_top(node, i, tensor, in_place=in_place)
        own = self.graph.nodes[start:]
        self._name_node(own, layer.name, tensors)
        if not is_inserted_split(layer.layer_param):
            self.layers.append(Converted(layer.name, layer.type, [made.op_type for made in own]))

    def _prepare(self, node: Node) -> None:
        """Subtracts means from the first input, and scales it, where that is asked for."""
        i = self.net.graph.inputs[0]
        g = LayerGraph(self.graph, node.layer, [], [], [])
        x = self._tensors[i]
        if self._mean is not None:
            self._mean = fitting_mean(self._mean, self.shapes[i])
            x = g.op("Sub", x, g.weight(self._mean, "mean"))
        if self._scale is not None:
            x = g.op("Mul", x, g.floats(self._scale))
        if x != self._tensors[i]:
            self._bind(i, x, node.layer.name)

    def _bind(self, blob: int, tensor: str, layer: str) -> None:
        self._tensors[blob] = tensor
        self._makers[tensor] = blob, layer

    def _bind_top(self, node: Node, blob: int, tensor: str, *, in_place: bool) -> None:
        if is_inserted_split(node.layer.layer_param) or (in_place and tensor == self._tensors[blob]):
            self._tensors[blob] = tensor
            return
        if tensor in self._makers or tensor in self.graph.inputs:  # which has a name of its own already
            tensor = self.graph.add("Identity", [tensor], 1, f"{node.layer.name}/Identity")[0]
        self._bind(blob, tensor, node.layer.name)

    def _name_node(self, nodes: Sequence[Any], name: str, tensors: Sequence[str]) -> None:
        """Gives the layer's name to the node that makes its first top, or to the last one."""
        if nodes:
            first = [node for node in nodes if tensors and tensors[0] in node.output]
            self.graph.name_node((first or [nodes[-1]])[0], name)

    # ------------------------------------------------------------------------ names

    def _name_tensors(self) -> None:
        """Gives tensors the names of their blobs.

        Of the layers that work in place one after another, the last one's result has the blob's name, the
        others' have their layer's behind it; an input keeps its name.
        """
        names: dict[str, str] = {}
        given = set(self.graph.inputs)
        last = {blob: tensor for tensor, (blob, _) in self._makers.items()}
        for tensor, (blob, layer) in self._makers.items():
            name = self.net.graph.blob_names[blob]
            if name == AUTO_TOP_NAME:
                name = self.graph.fresh(layer)
            elif tensor not in given and (last[blob] != tensor or name in given):
                name = self.graph.fresh(f"{name}/{layer}")
            names[tensor] = name
            self.values[name] = self.shapes[blob]
        self.graph.rename(names)
        self._tensors = {blob: names.get(tensor, tensor) for blob, tensor in self._tensors.items()}

    def _add_outputs(self, wanted: Sequence[str] | None) -> None:
        names = self.net.graph.blob_names
        outputs = list(self.net.graph.outputs)
        if wanted is not None:
            unknown = [name for name in wanted if name not in names]
            if unknown:
                raise ArgumentError(f"no blob '{unknown[0]}' in net '{self.net.name}'")
            outputs = [len(names) - 1 - names[::-1].index(name) for name in wanted]
        carried = dict(self.graph.outputs)
        self.graph.outputs.clear()
        for i in outputs:
            tensor = self._tensors[i]
            if tensor in self.graph.inputs or tensor in self.graph.constants:
                result = self.graph.fresh(f"{tensor}/output")
                self.graph.add("Identity", [tensor], [result], result)
                tensor = result
            self.graph.outputs[tensor] = self.shapes[i]
            self.output_blobs[tensor] = i
        self.graph.outputs.update(carried)
        if not self.graph.outputs:
            raise NetError(f"net '{self.net.name}' has no outputs: there is nothing to export")

    # ----------------------------------------------------------------------- results

    def model(self) -> Any:
        """The ModelProto, with copies of the weights."""
        return model_of(self.graph, self.net.name, self.values)

    def write(self, file: str | Path) -> None:
        """Writes the file, whole or not at all, without copies of the weights; see `files.write_model`."""
        write_model(file, self.graph, self.net.name, self.values)

    # --------------------------------------------------------- the net, to compare with

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the net gives for the file's inputs, in fresh arrays by the names of the file's outputs."""
        graph = self.net.graph
        for i in graph.inputs:
            blob, values = graph.blobs[i], inputs[graph.blob_names[i]]
            blob.reshape(values.shape)
            if i == graph.inputs[0]:
                values = values if self._mean is None else values - self._mean
                values = values if self._scale is None else values * np.float32(self._scale)
            blob.data[...] = values
        self.net.forward()
        return {name: graph.blobs[i].data.copy() for name, i in self.output_blobs.items()}

    def forget(self) -> None:
        """Lets go of the weights, so that another program has room to load what was written."""
        self.graph.forget()
        self.net = None  # type: ignore[assignment]

    def carried_over(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs that go on with the state which the layers had at the end of a pass."""
        return {self.states[name]: values for name, values in outputs.items() if name in self.states}


def to_onnx(
    net: Net,
    *,
    target: str = "onnxruntime",
    opset: int = DEFAULT_OPSET,
    batch: int | str | None = None,
    outputs: Sequence[str] | None = None,
    mean: Array | None = None,
    scale: float | None = None,
) -> Any:
    """Makes an ONNX model of a net, as it runs forward in its phase.

    Blob names become tensor names, layer names node names. The tops of data layers become inputs.

    Args:
        net: the net with its weights; usually in TEST. It stays as it is.
        target: what shall run it: "onnxruntime", or anything that knows ONNX's standard operators; "opencv5",
            with OpenCV's own layers where it has them.
        opset: version of the standard operators, 11 or newer.
        batch: the batch size, in place of the net's own; "dynamic" leaves it open.
        outputs: names of the blobs to give; None: those that no layer reads.
        mean: what to subtract from the first input, (C,) or (C, H, W), so that it takes pixels.
        scale: what to multiply it by after that.

    Returns:
        An onnx.ModelProto. It holds a copy of the weights; `Export(net).write(file)` writes a file without.

    Raises:
        LayerError: a layer has no counterpart in ONNX; the message says why.
        ArgumentError: onnx is not installed, or an argument makes no sense.
    """
    export = Export(net, target=target, opset=opset, batch=batch, outputs=outputs, mean=mean, scale=scale)
    return export.model()

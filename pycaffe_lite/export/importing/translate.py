"""From the nodes of an ONNX model to the layers of a net, one node after another."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.errors import OnnxError
from pycaffe_lite.export.importing import control, operators, reading
from pycaffe_lite.export.importing.caffe_net import MAX_COUNT, CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.constants import evaluate, shapes_and_types
from pycaffe_lite.export.importing.imported import ImportedNet, Place
from pycaffe_lite.export.importing.layouts import order_of_input
from pycaffe_lite.export.importing.node import FLOATS, Node, Value, translation_of
from pycaffe_lite.export.importing.reasons import why_not
from pycaffe_lite.export.importing.tidy import tidy
from pycaffe_lite.export.importing.values import Array, Shape, View
from pycaffe_lite.printable import printable

log = logging.getLogger(__name__)

# Types of Caffe's forks that are put to use where they are allowed, and a field of newer versions of Caffe.
ALLOWABLE = (
    "DepthwiseConvolution",
    "HardSigmoid",
    "HardSwish",
    "Interp",
    "Mish",
    "Permute",
    "ReLU6",
    "SeLU",
    "ShuffleChannel",
    "Upsample",
    "round_mode",
)
# Types of Caffe's that older versions of it lack, for which there are others.
AVOIDABLE = ("Clip",)


def from_onnx(
    model: Any,
    *,
    name: str = "",
    batch: int = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] = (),
    allow: Collection[str] = (),
    avoid: Collection[str] = (),
) -> ImportedNet:
    """Makes a net of Caffe's layers that computes what an ONNX model computes.

    Args:
        model: the path of an .onnx file, or an onnx.ModelProto with all its weights.
        name: of the net; that of the model's graph if empty.
        batch: the size of a first axis that the model leaves open.
        shapes: of inputs by name, which go before what the model says.
        outputs: names of tensors with which the net shall end, in place of the model's outputs.
        allow: types that Caffe itself lacks, of its forks or of a chip's tool, which may be used: some of
            `ALLOWABLE`.
        avoid: types of Caffe's that may not be used, because older versions lack them: some of `AVOIDABLE`.

    Returns:
        The net with its weights, which can be written and compared with the model.

    Raises:
        FileLookupError: there is no such file.
        OnnxError: the model is damaged, or Caffe's layers cannot express it: `problems` names each node.
        ArgumentError: a type is no layer type that can be allowed or avoided.
    """
    if isinstance(model, (str, os.PathLike)):
        model = reading.load(model)
    else:
        reading.need_onnx()
    translator = _Translator(model, CaffeNet(_known(allow, ALLOWABLE), _known(avoid, AVOIDABLE)), outputs)
    return translator.run(name, batch, {key: tuple(shape) for key, shape in (shapes or {}).items()})


def _known(types: Collection[str], known: Sequence[str]) -> Collection[str]:
    from pycaffe_lite.errors import ArgumentError

    for name in types:
        if name not in known:
            raise ArgumentError(
                f"there is no use for type '{name}' here (these there are: {', '.join(known)})"
            )
    return types


# FLOAT16 and BFLOAT16 in ONNX's numbers.
_HALVES = (10, 16)
# What Python and NumPy say to an attribute of a damaged model that makes no sense.
_SENSELESS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class _NotedError(InexpressibleError):
    """A node of a body cannot be expressed, and has been noted."""


class _Translator:
    """One pass over a model's nodes."""

    def __init__(self, model: Any, net: CaffeNet, outputs: Sequence[str]) -> None:
        self.net = net
        self.model = reading.flat(model)
        self.opset = reading.opset_of(self.model)
        self.graph = self.model.graph
        self.outputs = list(outputs) or [value.name for value in self.graph.output]
        self.values: dict[str, Value] = {}
        self.types: dict[str, int] = {}
        self.unknown: set[str] = set()  # tensors of which not even the shape is known
        self.problems: list[str] = []
        self.readers: dict[str, set[tuple[str, int]]] = {}  # of a tensor: operators, and which input it is

    def run(self, name: str, batch: int, shapes: Mapping[str, Shape]) -> ImportedNet:
        """The net of the whole model."""
        operators.load_all()
        for tensor in self.graph.initializer:
            self.values[tensor.name] = reading.array_of(tensor)
            self.types[tensor.name] = _as_computed(tensor.data_type)
        if self.graph.sparse_initializer:
            raise OnnxError("the model has sparse weights: make them dense before")
        inputs = reading.input_shapes(self.graph, self.values, batch, shapes)
        nodes = self._needed_nodes()
        self._make_inputs(inputs, nodes)
        self.used = Counter(name for node in nodes for name in control.names_read(node))
        for node in nodes:
            self._note_readers(node)
        self.used.update(self.outputs)
        for node in nodes:
            self._translate(node)
        if self.problems:
            count = len(self.problems)
            first = f": {self.problems[0]}" if count == 1 else ""
            nodes_text = "a node" if count == 1 else f"{count} nodes"
            raise OnnxError(f"Caffe's layers cannot express {nodes_text} of the model{first}", self.problems)
        places = self._make_outputs()
        tidy(self.net, [place.blob for place in places])
        name = name or self.graph.name or "net"
        return ImportedNet(name, self.net, self.model, inputs, self.input_places, places)

    def _needed_nodes(self) -> list[Any]:
        """The nodes that the outputs need, in an order in which each follows those that it reads.

        Raises:
            OnnxError: a tensor is made twice, by nobody, or of itself.
        """
        makers: dict[str, Any] = {}
        for node in self.graph.node:
            for output in node.output:
                if output and (output in makers or output in self.values):
                    raise OnnxError(f"the model is damaged: tensor '{output}' is made twice")
                makers[output] = node
        for output in self.outputs:
            if output not in makers and output not in {value.name for value in self.graph.input}:
                raise OnnxError(f"the model makes no tensor '{output}'")
        done: set[int] = set()
        open_nodes: set[int] = set()
        ordered: list[Any] = []
        known = {value.name for value in self.graph.input} | set(self.values)
        waiting = [(makers[name], False) for name in reversed(self.outputs) if name in makers]
        while waiting:
            node, inputs_done = waiting.pop()
            if id(node) in done:
                continue
            if inputs_done:
                done.add(id(node))
                ordered.append(node)
                continue
            if id(node) in open_nodes:
                raise OnnxError(f"the model is damaged: node '{node.name}' needs its own result")
            open_nodes.add(id(node))
            waiting.append((node, True))
            for name in reversed(list(control.names_read(node))):
                if name in makers:
                    waiting.append((makers[name], False))
                elif name and name not in known:
                    raise OnnxError(
                        f"the model is damaged: node '{node.name}' reads '{name}', which nothing makes"
                    )
        place = {id(node): i for i, node in enumerate(self.graph.node)}
        if _is_sorted(self.graph.node, makers):
            ordered.sort(key=lambda node: place[id(node)])
        return ordered

    def _make_inputs(self, shapes: Mapping[str, Shape], nodes: Sequence[Any]) -> None:
        """An Input layer for each input; pictures with their channels last become channels first."""
        self.input_places = []
        for value in self.graph.input:
            if value.name not in shapes:
                continue
            shape = shapes[value.name]
            order = order_of_input(value.name, len(shape), nodes)
            stored = tuple(shape[i] for i in order)
            with self.net.node(value.name):
                dims = {"shape": [{"dim": list(stored)}]}
                top = self.net.one("Input", [], stored, input_param=dims)
            self.net.rename_blob(top, value.name)
            view = View.of(value.name, stored).transposed([order.index(i) for i in range(len(order))])
            self.values[value.name] = view
            self.types[value.name] = _as_computed(reading.type_of_input(value))
            self.input_places.append(Place(value.name, view, value.name))

    # ------------------------------------------------------------------ nodes

    def _translate(self, node: Any) -> None:
        if any(name in self.unknown for name in control.names_read(node)):
            self.unknown.update(node.output)
            if _has_no_layers(node):
                self._note(node, InexpressibleError(*why_not(node.domain, node.op_type)))
            return
        known: dict[str, tuple[Shape | None, int]] = {}
        try:
            if node.domain not in ("", "ai.onnx"):
                raise InexpressibleError(*why_not(node.domain, node.op_type))
            if lost := [name for name in node.input if name and name not in self.values]:
                raise InexpressibleError(f"it reads '{lost[0]}', which nothing before it makes")
            if node.op_type in control.OPERATORS:
                self._run_control(node)
                return
            inputs = [self.values.get(name) if name else None for name in node.input]
            known = self._inferred(node)
            results = self._results(node, inputs, known)
        except InexpressibleError as problem:
            if not isinstance(problem, _NotedError):
                self._note(node, problem)
            results = []
            for name in node.output:
                shape = known.get(name, (None, 1))[0]
                results.append(self._stand_in(shape))
        for name, result in zip(node.output, results, strict=False):
            if not name:
                continue
            if result is None:
                self.unknown.add(name)
            else:
                self.values[name] = result
                self.types[name] = _as_computed(known.get(name, (None, 1))[1])

    def _run_control(self, node: Any) -> None:
        """Writes out a branch or a loop."""
        inputs = [
            control.Typed(self.values[name], self.types.get(name, 1)) if name else None for name in node.input
        ]
        with self.net.node(node.name or node.output[0]):
            results = control.run(node, inputs, self)
        for name, result in zip(node.output, results, strict=False):
            if name:
                self.values[name], self.types[name] = result

    def run_body(self, graph: Any, bound: Mapping[str, control.Typed], prefix: str) -> list[control.Typed]:
        """Translates the nodes of a branch, or of one step of a loop; see `control.Bodies`."""
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        own.update(name for node in graph.node for name in node.output if name)
        names = {name: f"{prefix}{name}" for name in own}
        for name, typed in bound.items():
            self.values[names[name]], self.types[names[name]] = typed
        for tensor in graph.initializer:
            self.values[names[tensor.name]] = reading.array_of(tensor)
            self.types[names[tensor.name]] = _as_computed(tensor.data_type)
        nodes = [control.renamed(node, names, prefix) for node in graph.node]
        outputs = [names.get(value.name, value.name) for value in graph.output]
        self.used.update(name for node in nodes for name in control.names_read(node))
        self.used.update(outputs)
        for node in nodes:
            self._note_readers(node)
        before = len(self.problems)
        for node in nodes:
            with self.net.outside():
                self._translate(node)
        if len(self.problems) > before or any(name in self.unknown for name in outputs):
            raise _NotedError("a node of its body cannot be expressed")
        if lost := [name for name in outputs if name not in self.values]:
            raise InexpressibleError(f"its body gives '{lost[0]}', which nothing makes")
        return [control.Typed(self.values[name], self.types.get(name, 1)) for name in outputs]

    def _note_readers(self, node: Any) -> None:
        for i, name in enumerate(node.input):
            self.readers.setdefault(name, set()).add((node.op_type, i))

    def _note(self, node: Any, problem: InexpressibleError) -> None:
        name = (
            f"node '{printable(node.name)}'"
            if node.name
            else f"the node that makes '{printable(node.output[0])}'"
        )
        instead = f"; {problem.instead}" if problem.instead else ""
        self.problems.append(f"{name} ({node.op_type}): {problem.why}{instead}")

    def _stand_in(self, shape: Shape | None) -> View | None:
        """A blob in place of one that cannot be made, so that what follows is looked at as well."""
        if shape is None or any(n < 1 for n in shape) or math.prod(shape) > MAX_COUNT:
            return None
        with self.net.node("missing"):
            return View.of(self.net.one("Input", [], shape), shape)

    def _inferred(self, node: Any) -> dict[str, tuple[Shape | None, int]]:
        given: dict[str, Array | tuple[Shape, int]] = {}
        for name in node.input:
            if name:
                value = self.values[name]
                if isinstance(value, np.ndarray):
                    given[name] = value
                else:
                    given[name] = value.shape, self.types.get(name, 1)
        return shapes_and_types(node, self.opset, given, self.model.ir_version)

    def _results(
        self, node: Any, inputs: Sequence[Value | None], known: Mapping[str, tuple[Shape | None, int]]
    ) -> Sequence[Value | None]:
        """What a node makes: constants where it can, else layers."""
        if node.op_type == "Shape" and inputs and inputs[0] is not None:
            start, end = (
                next((a.i for a in node.attribute if a.name == key), None) for key in ("start", "end")
            )
            return [np.array(inputs[0].shape[start:end], np.int64)]
        if node.op_type == "Size" and inputs and inputs[0] is not None:
            return [np.array(math.prod(inputs[0].shape), np.int64)]
        if node.op_type == "Constant":
            return [_constant(node)]
        if node.op_type == "CastLike":
            node, inputs = _as_cast(node, known.get(node.output[0], (None, 1))[1]), inputs[:1]
        arrays = [value for value in inputs if isinstance(value, np.ndarray)]
        if len(arrays) == sum(value is not None for value in inputs) and node.op_type not in operators.RANDOM:
            outputs = {name: known.get(name, (None, 1)) for name in node.output if name}
            return evaluate(
                node, self.opset, [v if isinstance(v, np.ndarray) else None for v in inputs], outputs
            )
        translate = translation_of(node.op_type)
        if translate is None:
            raise InexpressibleError(*why_not("", node.op_type))
        shapes = [known.get(name, (None, 1))[0] for name in node.output]
        if any(shape is not None and 0 in shape for shape in shapes):
            raise InexpressibleError("its result holds no values at all")
        used = [bool(name) and self.used[name] > 0 for name in node.output]
        with self.net.node(node.name or node.output[0]):
            before = len(self.net.layers)
            kind = self.types.get(node.input[0], 1) if node.input else 1
            kinds = kind, _as_computed(known.get(node.output[0], (None, 1))[1])
            readers = [self.readers.get(name, set()) for name in node.output]
            known_node = Node(node, inputs, shapes, self.opset, self.net, used, kinds, readers)
            try:
                result = translate(known_node)
            except _SENSELESS as error:
                what = f"{type(error).__name__}: {error}".removesuffix(": ")
                raise InexpressibleError(
                    f"its inputs and attributes do not fit together ({' '.join(what.split())[:200]})",
                    "check the model (onnx.checker)",
                ) from None
            results = [result] if isinstance(result, View) else list(result)
            for view, shape in zip(results, shapes, strict=False):
                if view is not None and shape is not None and view.shape != shape:
                    raise InexpressibleError(
                        f"Caffe's layers would make the shape {view.shape} of it, not {shape}"
                    )
        self._name_tops(node, results, before)
        return [self._renamed(view) for view in results]

    def _name_tops(self, node: Any, results: Sequence[View | None], before: int) -> None:
        """Gives the tops that hold a node's results the names that these have in the model."""
        self._new_names: dict[str, str] = {}
        made = {top for layer in self.net.layers[before:] for top in layer.top}
        for name, view in zip(node.output, results, strict=False):
            if not name or view is None or view.blob not in made or name in self.net.shapes:
                continue
            if view.blob not in self._new_names:
                self.net.rename_blob(view.blob, name)
                self._new_names[view.blob] = name

    def _renamed(self, view: View | None) -> View | None:
        if view is None:
            return None
        return view.with_blob(self._new_names.get(view.blob, view.blob))

    # ------------------------------------------------------------------ outputs

    def _make_outputs(self) -> list[Place]:
        """Blobs for the outputs, each under its name."""
        places: list[Place] = []
        channels_last = any(not place.view.is_plain for place in self.input_places)
        taken = {place.blob for place in self.input_places}
        for name in self.outputs:
            if name in self.unknown:
                raise OnnxError(f"the shape of output '{name}' is not known")
            value = self.values[name]
            with self.net.node(name):
                try:
                    if isinstance(value, np.ndarray):
                        value = View.of(self.net.parameter(value.astype(np.float32)), value.shape)
                    view = value if channels_last and _is_picture(value) else self.net.plain_view(value)
                except InexpressibleError as problem:
                    instead = f"; {problem.instead}" if problem.instead else ""
                    raise OnnxError(f"output '{name}': {problem.why}{instead}") from None
                view = view.with_blob(self._own_blob(view.blob, name, taken))
            taken.add(view.blob)
            places.append(Place(name, view, view.blob))
        return places

    def _own_blob(self, blob: str, name: str, taken: Collection[str]) -> str:
        """The blob under the output's name: renamed, or copied if its own name is needed too."""
        if blob == name:
            return blob
        if blob in taken:
            blob = self.net.one("Power", blob, self.net.shapes[blob])
        if name in taken:
            return blob
        if name in self.net.shapes:  # the same values in another order or shape
            self._rename(name, self.net.free_name(f"{name}_stored"))
        self._rename(blob, name)
        return name

    def _rename(self, old: str, new: str) -> None:
        self.net.rename_blob(old, new)
        for key, value in self.values.items():
            if isinstance(value, View) and value.blob == old:
                self.values[key] = value.with_blob(new)


def _has_no_layers(node: Any) -> bool:
    """Whether a node that depends on the net's input cannot be expressed, whatever its inputs are."""
    if node.domain not in ("", "ai.onnx"):
        return True
    is_known = node.op_type in ("Shape", "Size", *control.OPERATORS)
    return translation_of(node.op_type) is None and not is_known


def _as_computed(kind: int) -> int:
    """The data type in which Caffe computes: numbers of 16 bits become FLOAT."""
    return FLOATS[0] if kind in _HALVES else kind


def _is_sorted(nodes: Sequence[Any], makers: Mapping[str, Any]) -> bool:
    """Whether each node follows those that it reads, as ONNX demands."""
    seen: set[str] = set()
    for node in nodes:
        if any(name in makers and name not in seen for name in node.input):
            return False
        seen.update(node.output)
    return True


def _is_picture(view: View) -> bool:
    """Whether a tensor is a picture whose channels are last here, and first in its blob."""
    if len(view.axes) != 4 or any(len(axis) != 1 for axis in view.axes):
        return False
    return [view.place_of(axis) for axis in range(4)] == [0, 2, 3, 1]


def _as_cast(node: Any, kind: int) -> Any:
    """A node of type CastLike as one of type Cast: of its second input, only the data type counts."""
    from onnx import helper

    return helper.make_node("Cast", node.input[:1], node.output, name=node.name, to=kind)


def _constant(node: Any) -> Array:
    """The value of a node of type Constant."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return reading.array_of(attribute.t)
        if attribute.name in ("value_float", "value_floats"):
            return np.array(attribute.f if attribute.name == "value_float" else attribute.floats, np.float32)
        if attribute.name in ("value_int", "value_ints"):
            return np.array(attribute.i if attribute.name == "value_int" else attribute.ints, np.int64)
    raise InexpressibleError("it holds no numbers")

"""The graph that an export fills: nodes, constants and names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.extras import missing

Array = npt.NDArray[Any]
# The length of each axis; text for one that depends on the batch or on the data.
Shape = tuple[int | str, ...]

# Constants of up to so many values are written once, however many nodes read them.
_FEW = 64


def onnx_package() -> Any:
    """The package onnx.

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        import onnx
        import onnx.helper
    except ImportError:
        raise ArgumentError(missing("ONNX", "onnx", "onnx")) from None
    return onnx


def count_of(shape: Shape) -> int | str:
    """The number of values of a shape; text where an axis has no fixed length."""
    free = [n for n in shape if isinstance(n, str)]
    whole = math.prod(n for n in shape if isinstance(n, int))
    if not free:
        return whole
    return free[0] if len(free) == 1 and whole == 1 else "*".join([*free, str(whole)])


class Graph:
    """Nodes and constants, each under a name of its own.

    Attributes:
        opset: the version of ONNX's standard operators.
        for_opencv: whether OpenCV shall run it, which computes some operators wrongly.
        nodes: NodeProtos in the order in which they run.
        constants: name → array, as it is in memory: nothing is copied.
        inputs, outputs: names → shapes, in order; all are float32.
        states: output → input, of what layers carry from one pass to the next.
    """

    def __init__(self, opset: int, parent: Graph | None = None, *, for_opencv: bool = False) -> None:
        self.opset, self.for_opencv = opset, for_opencv
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.inputs: dict[str, Shape] = {}
        self.outputs: dict[str, Shape] = {}
        self.states: dict[str, str] = {}
        self._parent = parent
        self._names: set[str] = set() if parent is None else parent._names
        self._node_names: set[str] = set() if parent is None else parent._node_names
        self._few: dict[tuple[Any, ...], str] = {}
        self._placed: dict[tuple[Any, ...], str] = {}
        self._helper = onnx_package().helper

    def reserve(self, names: Iterable[str]) -> None:
        """Keeps names for what is to have them."""
        self._names.update(names)

    def name_node(self, node: Any, name: str) -> None:
        """Gives a node a name, which no other node has."""
        node.name, number = name, 2
        while node.name in self._node_names:
            node.name, number = f"{name}_{number}", number + 1
        self._node_names.add(node.name)

    def fresh(self, hint: str) -> str:
        """A name that nothing in the graph has yet: the hint, or the hint with a number."""
        name, number = hint, 2
        while name in self._names:
            name, number = f"{hint}_{number}", number + 1
        self._names.add(name)
        return name

    def add(
        self, op_type: str, inputs: Sequence[str], outputs: int | Sequence[str], name: str, **attributes: Any
    ) -> list[str]:
        """Adds a node and returns the names of its results.

        Args:
            op_type: the operator. inputs: names; "" for one that is left out.
            outputs: how many results there are, or their names. name: of the node, if it is still free.
            attributes: those that are None are left out.
        """
        if isinstance(outputs, int):
            ends = ("",) if outputs == 1 else tuple(f":{i}" for i in range(outputs))
            outputs = [self.fresh(f"{name}:out{end}") for end in ends]
        given = {key: value for key, value in attributes.items() if value is not None}
        node = self._helper.make_node(op_type, inputs, outputs, **given)
        self.name_node(node, name)
        self.nodes.append(node)
        return list(outputs)

    def constant(self, values: npt.ArrayLike, hint: str) -> str:
        """The name of a constant; equal ones of few values are one."""
        array = np.asarray(values)
        if self._parent is not None:
            return self._parent.constant(array, hint)
        if array.size > _FEW:
            return self.weight(array, hint)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._few:
            self._few[key] = self.weight(array, hint)
        return self._few[key]

    def weight(self, array: Array, hint: str) -> str:
        """The name of a constant; the same part of the memory is one."""
        if self._parent is not None:
            return self._parent.weight(array, hint)
        place = (array.__array_interface__["data"][0], array.dtype.str, array.shape, array.strides)
        if place not in self._placed:
            name = self.fresh(hint)
            self.constants[name] = array
            self._placed[place] = name
        return self._placed[place]

    def as_body(self, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        """The nodes as the body of a loop, a GraphProto; all that goes in and out is float32."""
        values = [
            [self._helper.make_tensor_value_info(end, 1, None) for end in ends] for ends in (inputs, outputs)
        ]
        return self._helper.make_graph(self.nodes, name, *values)

    def forget(self) -> None:
        """Lets go of the constants' values."""
        self.constants.clear()
        self._few.clear()
        self._placed.clear()

    def rename(self, names: dict[str, str]) -> None:
        """Gives results and constants other names, at all places where they stand."""
        _rename(self.nodes, names)
        for known in (self._few, self._placed):
            known.update({key: names[name] for key, name in known.items() if name in names})
        for held in (self.constants, self.inputs, self.outputs):
            items = [(names.get(name, name), value) for name, value in held.items()]
            held.clear()
            held.update(items)  # type: ignore[arg-type]


def _rename(nodes: Sequence[Any], names: dict[str, str]) -> None:
    for node in nodes:
        for ends in (node.input, node.output):
            for i, name in enumerate(ends):
                if name in names:
                    ends[i] = names[name]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g.node, names)

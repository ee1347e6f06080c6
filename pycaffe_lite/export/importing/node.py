"""A node of the model as those who translate it see it, and the table of who translates which operator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.values import Array, Shape, View

Value = Array | View
Result = View | Sequence[View | None]
Translation = Callable[["Node"], Result]

# Data types in ONNX's numbers: FLOAT, FLOAT16, DOUBLE, BFLOAT16; truth values.
FLOATS = (1, 10, 11, 16)
BOOL = 9

_translations: dict[str, Translation] = {}


def operator(*names: str) -> Callable[[Translation], Translation]:
    """Registers a function that makes layers of the nodes of some operators."""

    def register(function: Translation) -> Translation:
        for name in names:
            _translations[name] = function
        return function

    return register


def translation_of(name: str) -> Translation | None:
    """What makes layers of an operator's nodes; None if nothing does."""
    return _translations.get(name)


def known_operators() -> list[str]:
    """The operators of which layers can be made, in alphabetical order."""
    return sorted(_translations)


class Node:
    """A node of the model with what is known of its inputs.

    Attributes:
        op: its operator. outputs: names of its results; "" where one is not asked for.
        inputs: constants as arrays, others as views; None where one is left out.
        shapes: of the results, as far as known. opset: the version of the operators. net: where layers go.
        kind, result_kind: the data types of the first input and the first result, as ONNX numbers them.
        given: names of its attributes.
        readers: of each result: the operators that read it, and as which of their inputs.
    """

    def __init__(
        self,
        proto: Any,
        inputs: Sequence[Value | None],
        shapes: Sequence[Shape | None],
        opset: int,
        net: CaffeNet,
        used: Sequence[bool],
        kinds: tuple[int, int] = (1, 1),
        readers: Sequence[Collection[tuple[str, int]]] = (),
    ) -> None:
        self.op: str = proto.op_type
        self.inputs, self.shapes, self.opset, self.net = list(inputs), list(shapes), opset, net
        self.outputs: list[str] = list(proto.output)
        self.kind, self.result_kind = kinds
        self.readers = list(readers)
        self._used = list(used)
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self.given = frozenset(self._attributes)

    def is_used(self, output: int) -> bool:
        """Whether anybody reads a result."""
        return output < len(self._used) and self._used[output]

    def has(self, position: int) -> bool:
        """Whether an input is given."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value, a text as str."""
        from onnx import helper

        if name not in self._attributes:
            return default
        value = helper.get_attribute_value(self._attributes[name])
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return value

    def constant(self, position: int, what: str) -> Array:
        """An input that has to be a constant.

        Raises:
            InexpressibleError: it is none.
        """
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, np.ndarray):
            raise InexpressibleError(
                f"its {what} is computed from the net's input",
                "export the model with fixed shapes, or end the net before it (--output)",
            )
        return value

    def setting(self, name: str, position: int, default: Any = None) -> Any:
        """What older versions of an operator have as an attribute and newer ones as an input."""
        if name in self._attributes:
            return self.attribute(name)
        return self.constant(position, name).tolist() if self.has(position) else default

    def view(self, position: int = 0) -> View:
        """An input as a blob; a constant becomes one."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if value is None:
            raise InexpressibleError(f"its input {position} is missing")
        if isinstance(value, View):
            return value
        return View.of(self.net.parameter(np.asarray(value, np.float32)), value.shape)

    def shape(self, output: int = 0) -> Shape:
        """The shape of a result.

        Raises:
            InexpressibleError: nothing tells it.
        """
        shape = self.shapes[output]
        if shape is None:
            raise InexpressibleError(
                "the shape of its result depends on values of its input",
                "end the net before it (--output) and do it in the program around the net",
            )
        return shape

    def axis(self, axis: int, position: int = 0) -> int:
        """An axis of an input, counted from the front.

        Raises:
            InexpressibleError: there is no such axis.
        """
        value = self.inputs[position]
        rank = len(value.shape) if value is not None else 0
        if not -rank <= axis < rank:
            raise InexpressibleError(f"it names axis {axis} of a tensor that has {rank}")
        return axis % rank

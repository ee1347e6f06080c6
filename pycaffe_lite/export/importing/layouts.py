"""Pictures whose channels are last, as Keras has them: which inputs are such, and become channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Operators that work value by value, so that the order of the axes does not matter to them.
_INDIFFERENT = frozenset(
    ("Abs", "Add", "Cast", "Clip", "Concat", "Div", "Dropout", "Exp", "Identity", "LeakyRelu", "Max", "Min")
) | {"Mul", "Neg", "Pad", "Pow", "Relu", "Sigmoid", "Slice", "Sqrt", "Sub", "Tanh"}
_TO_CHANNELS_FIRST = [0, 3, 1, 2]


def order_of_input(name: str, rank: int, nodes: Sequence[Any]) -> list[int]:
    """The order in which the net has the axes of an input.

    An input whose values go through a transposition to channels first, with nothing before it that minds the
    order, is one of pictures with their channels last: the net takes them channels first.
    """
    plain = list(range(rank))
    if rank != 4:
        return plain
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for tensor in node.input:
            readers.setdefault(tensor, []).append(node)
    waiting, seen, is_transposed = [name], {name}, False
    while waiting:
        for node in readers.get(waiting.pop(), ()):
            if node.op_type == "Transpose":
                order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
                if order != _TO_CHANNELS_FIRST:
                    return plain
                is_transposed = True
            elif node.op_type == "Shape":
                continue
            elif node.op_type not in _INDIFFERENT:
                return plain
            else:
                waiting += [output for output in node.output if output not in seen]
                seen.update(node.output)
    return _TO_CHANNELS_FIRST if is_transposed else plain

"""Branches and loops of a model, written out: Caffe's nets have neither.

A branch is chosen, and a loop ends, by what is known when the net is made: constants and shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Value
from pycaffe_lite.export.importing.operators.layout import concatenated, parts_of
from pycaffe_lite.export.importing.values import Array, View

OPERATORS = ("If", "Loop", "Scan")
_MOST_STEPS = 1024
_MOST_NODES = 20000


class Typed(NamedTuple):
    """A value and its data type, as ONNX numbers them."""

    value: Value
    type: int


class Bodies(Protocol):
    """Who translates the nodes of a body.

    Attributes:
        net: where the layers go. opset: the version of the operators.
    """

    net: CaffeNet
    opset: int

    def run_body(self, graph: Any, bound: Mapping[str, Typed], prefix: str) -> list[Typed]:
        """Translates a body's nodes; returns its outputs.

        Args:
            graph: an onnx.GraphProto. bound: its inputs. prefix: for names of its tensors and nodes.

        Raises:
            InexpressibleError: a node of it cannot be expressed; which one has been noted.
        """


def names_read(node: Any) -> Iterator[str]:
    """The tensors that a node reads, those that its bodies read from outside included."""
    yield from node.input
    for graph in bodies_of(node):
        inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        inside.update(output for part in graph.node for output in part.output)
        reads = [name for part in graph.node for name in names_read(part)]
        yield from (name for name in (*reads, *(value.name for value in graph.output)) if name not in inside)


def bodies_of(node: Any) -> list[Any]:
    """The bodies of a node: onnx.GraphProtos."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def renamed(node: Any, names: Mapping[str, str], prefix: str) -> Any:
    """A copy of a node of a body, in which the body's own tensors have other names."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = f"{prefix}{node.name or (node.output[0] if node.output else '')}"
    _rename(copy, names)
    return copy


def _rename(node: Any, names: Mapping[str, str]) -> None:
    for part in (node.input, node.output):
        for i, name in enumerate(part):
            part[i] = names.get(name, name)
    for graph in bodies_of(node):
        for inner in graph.node:
            _rename(inner, names)
        for value in graph.output:
            value.name = names.get(value.name, value.name)


def run(node: Any, inputs: Sequence[Typed | None], bodies: Bodies) -> list[Typed]:
    """The results of a branch or loop.

    Args:
        node: of one of `OPERATORS`. inputs: what it reads; None where one is left out.
        bodies: who translates what is in it.

    Raises:
        InexpressibleError: it is chosen or ended by what is computed, or is too long.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    prefix = f"{node.name or node.output[0]}/"
    if node.op_type == "If":
        chosen = "then_branch" if _known(inputs[0], "condition") else "else_branch"
        return bodies.run_body(attributes[chosen].g, {}, prefix)
    body = attributes["body"].g
    if node.op_type == "Scan" and bodies.opset < 9:
        raise InexpressibleError(
            "it goes along sequences of several items, as only version 8 of ONNX has it",
            "export the model with a newer version",
        )
    if node.op_type == "Loop":
        return _loop(body, inputs, bodies, prefix)
    directions = (
        list(attributes["scan_input_directions"].ints) if "scan_input_directions" in attributes else []
    )
    axes = [
        axis
        for key in ("scan_input_axes", "scan_output_axes", "scan_output_directions")
        if key in attributes
        for axis in attributes[key].ints
    ]
    if any(axes):
        raise InexpressibleError("it goes along other axes than the first, or gives its results backward")
    return _scan(body, inputs, attributes["num_scan_inputs"].i, directions, bodies, prefix)


def _known(value: Typed | None, what: str) -> bool:
    if value is None:
        return True
    if not isinstance(value.value, np.ndarray):
        raise InexpressibleError(
            f"its {what} is computed from the net's input, and Caffe's nets have neither branches nor loops",
            "export the model with fixed shapes, so that it is written out step by step",
        )
    return bool(value.value.ravel()[0])


def _check_length(steps: int, body: Any) -> None:
    if steps > _MOST_STEPS or steps * len(body.node) > _MOST_NODES:
        raise InexpressibleError(
            f"it has {steps} steps of {len(body.node)} nodes, too many to be written out one by one",
            "give the model shorter sequences",
        )


def _loop(body: Any, inputs: Sequence[Typed | None], bodies: Bodies, prefix: str) -> list[Typed]:
    most = inputs[0]
    _known(most, "number of steps")
    limit = int(most.value.ravel()[0]) if most is not None and isinstance(most.value, np.ndarray) else None
    state = [value for value in inputs[2:] if value is not None]
    scans: list[list[Typed]] = [[] for _ in body.output[1 + len(state) :]]
    condition, step = inputs[1], 0
    while (limit is None or step < limit) and _known(condition, "condition"):
        _check_length(step + 1, body)
        first = Typed(np.array(step, np.int64), 7), Typed(np.array(True), 9)
        bound = dict(zip((value.name for value in body.input), (*first, *state), strict=True))
        condition, *results = bodies.run_body(body, bound, f"{prefix}{step}/")
        state = results[: len(state)]
        for scan, value in zip(scans, results[len(state) :], strict=True):
            scan.append(value)
        step += 1
    return [*state, *(_stacked(bodies.net, scan) for scan in scans)]


def _scan(
    body: Any,
    inputs: Sequence[Typed | None],
    count: int,
    directions: Sequence[int],
    bodies: Bodies,
    prefix: str,
) -> list[Typed]:
    given = [value for value in inputs if value is not None]
    state, sequences = given[: len(given) - count], given[len(given) - count :]
    steps = sequences[0].value.shape[0]
    _check_length(steps, body)
    rows = [_rows(bodies.net, sequence) for sequence in sequences]
    for parts, backward in zip(rows, directions, strict=False):
        if backward:
            parts.reverse()
    scans: list[list[Typed]] = [[] for _ in body.output[len(state) :]]
    for step in range(steps):
        values = (*state, *(parts[step] for parts in rows))
        bound = dict(zip((value.name for value in body.input), values, strict=True))
        results = bodies.run_body(body, bound, f"{prefix}{step}/")
        state = results[: len(state)]
        for scan, value in zip(scans, results[len(state) :], strict=True):
            scan.append(value)
    return [*state, *(_stacked(bodies.net, scan) for scan in scans)]


def _rows(net: CaffeNet, sequence: Typed) -> list[Typed]:
    """What is at each place of the first axis."""
    value = sequence.value
    if isinstance(value, np.ndarray):
        return [Typed(np.asarray(row), sequence.type) for row in value]
    parts = parts_of(net, value, 0, [1] * value.shape[0])
    return [Typed(View(part.blob, part.axes[1:]), sequence.type) for part in parts]


def _stacked(net: CaffeNet, values: Sequence[Typed]) -> Typed:
    """Values of all steps, along a new first axis."""
    if not values:
        raise InexpressibleError("it has no steps, and results of all of them")
    arrays: list[Array] = [item.value for item in values if isinstance(item.value, np.ndarray)]
    if len(arrays) == len(values):
        return Typed(np.stack(arrays), values[0].type)
    views = []
    for item in values:
        value = item.value
        if isinstance(value, np.ndarray):
            value = View.of(net.parameter(value.astype(np.float32)), value.shape)
        blob = net.reshape(net.plain(value), (1, *value.shape))
        views.append(View.of(blob, (1, *value.shape)))
    return Typed(concatenated(net, views, 0), values[0].type)

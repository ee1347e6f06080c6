"""The shapes of a net's blobs, with words for the lengths that are not fixed in the exported file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pycaffe_lite.errors import NetError
from pycaffe_lite.export.onnx.graph import Shape
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.utility.python import PythonLayer
from pycaffe_lite.net.net import Net

BATCH = "batch"
Sizes = list[tuple[int, ...]]

# The axis along which the data decides how long the tops of a layer class are.
_sized_by_data: dict[type, int] = {}


def sized_by_data(axis: int, *classes: type) -> None:
    """Says that tops of these layer classes are as long as the data says, along an axis."""
    for layer_class in classes:
        _sized_by_data[layer_class] = axis


def user_class(layer: Layer[Any]) -> type:
    """The class by which a layer is known: of a Python layer, the user's own."""
    return type(layer.user) if isinstance(layer, PythonLayer) else type(layer)


def data_axis(layer: Layer[Any]) -> int | None:
    """The axis of its tops that the data decides."""
    return _sized_by_data.get(user_class(layer))


def blob_shapes(net: Net, *, dynamic: bool) -> list[Shape]:
    """The shape of each blob of a net.

    Which lengths vary is found by shaping the net for one item more, and for other numbers of what its layers
    find. The net keeps its shapes.

    Args:
        net: the net. dynamic: whether the batch size, the inputs' first length, is not fixed.

    Raises:
        NetError: a layer allows no other batch size.
    """
    inputs = [net.graph.blobs[i] for i in net.graph.inputs]
    given = [blob.shape for blob in inputs]
    counts = any(data_axis(layer) is not None for layer in net.layers)
    first = _shaped(net, given, 3) if counts else [blob.shape for blob in net.graph.blobs]
    shapes: list[Shape] = [tuple(shape) for shape in first]
    if counts:
        other = _shaped(net, given, 5)
        shapes = [
            _marked(shape, was, now, "count", 3) for shape, was, now in zip(shapes, first, other, strict=True)
        ]
    if dynamic:
        N = given[0][0] if given and given[0] else 1
        more = [(shape[0] + 1, *shape[1:]) if shape and shape[0] == N else shape for shape in given]
        try:
            other = _shaped(net, more, 3)
        except NetError as error:
            raise NetError(f"the batch size cannot be left open: with {N + 1} items, {error}") from None
        shapes = [
            _marked(shape, was, now, BATCH, N) for shape, was, now in zip(shapes, first, other, strict=True)
        ]
    if counts or dynamic:
        _shaped(net, given, None)
    return shapes


def _shaped(net: Net, inputs: Sequence[tuple[int, ...]], count: int | None) -> Sizes:
    """All shapes, for inputs of these, where layers find so many of what they look for."""
    for i, shape in zip(net.graph.inputs, inputs, strict=True):
        net.graph.blobs[i].reshape(shape)
    for node in net.graph.nodes:
        node.reshape()
        axis = data_axis(node.layer)
        if axis is None or count is None:
            continue
        for blob in node.top:
            blob.reshape((*blob.shape[:axis], count, *blob.shape[axis + 1 :]))
    return [blob.shape for blob in net.graph.blobs]


def _marked(shape: Shape, was: Sequence[int], now: Sequence[int], word: str, size: int) -> Shape:
    """A shape with a word for each length that depends on a size.

    was: the shape for that size. now: that for another.
    """
    if len(was) != len(now):
        return shape
    return tuple(
        n if a == b else (word if a == size else f"{a / size:g}*{word}")
        for n, a, b in zip(shape, was, now, strict=True)
    )

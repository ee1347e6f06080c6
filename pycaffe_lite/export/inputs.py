"""Random inputs that make sense to the layers that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.errors import DataError
from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.common.embed import EmbedLayer
from pycaffe_lite.layer.recurrent.lstm_unit import LSTMUnitLayer
from pycaffe_lite.layer.recurrent.recurrent import RecurrentLayer
from pycaffe_lite.layer.utility.batch_reindex import BatchReindexLayer
from pycaffe_lite.layer.utility.filter import FilterLayer
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split

_PIXELS = 64.0  # of the values of a picture less its mean, about their deviation


def random_inputs(net: Net, *, more: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, Array]]]:
    """Inputs for a net, the same in each run, with what they are in words.

    Small values first; for pictures then some as large as those of pixels.

    Args:
        net: with its inputs shaped. more: inputs whose batch size is open: one item more is tried as well.
    """
    generator = np.random.default_rng(0)
    shapes = {name: net.blobs[name].shape for name in net.inputs}

    def drawn(size: float) -> dict[str, Array]:
        return {name: _values(net, name, shape, generator, size) for name, shape in shapes.items()}

    yield "random inputs", drawn(1.0)
    if any(_is_picture(shape) for shape in shapes.values()):
        yield "random pixels", drawn(_PIXELS)
    if more:
        shapes = {name: (shape[0] + (name in more), *shape[1:]) for name, shape in shapes.items()}
        yield "random inputs of another batch size", drawn(1.0)


def checked_inputs(net: Net, given: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs of the user's, float32, of the shapes of the net's.

    Raises:
        DataError: there is one more or one less, or one of another shape.
    """
    names = net.inputs
    if set(given) != set(names):
        raise DataError(f"the inputs are {', '.join(names)}; given are {', '.join(sorted(given)) or 'none'}")
    inputs = {}
    for name in names:
        shape, values = net.blobs[name].shape, np.asarray(given[name], np.float32)
        if values.shape == shape[1:]:
            values = values[None].repeat(shape[0], axis=0)
        if values.shape != shape:
            raise DataError(f"input '{name}' has shape {shape}, given is one of shape {values.shape}")
        inputs[name] = values
    return inputs


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3)


def _values(net: Net, name: str, shape: tuple[int, ...], generator: Any, size: float) -> Array:
    for layer, k in _readers(net, name):
        values = _wanted(net, layer, k, shape, generator)
        if values is not None:
            return np.asarray(values, np.float32).reshape(shape)
    values = generator.standard_normal(shape) * (size if _is_picture(shape) else 1.0)
    return np.asarray(values, np.float32)


def _readers(net: Net, name: str) -> Iterator[tuple[Layer[Any], int]]:
    """The layers that read a blob, or a copy of it, with the index of the bottom."""
    names = {name}
    for node in net.graph.nodes:
        for k, bottom in enumerate(node.bottom_ids):
            if net.graph.blob_names[bottom] not in names:
                continue
            if is_inserted_split(node.layer.layer_param):
                names.update(net.graph.blob_names[i] for i in node.top_ids)
            else:
                yield node.layer, k


def _wanted(net: Net, layer: Layer[Any], k: int, shape: tuple[int, ...], generator: Any) -> Any:
    """Values that bottom k of a layer can take; None where it takes any."""
    count = int(np.prod(shape))
    if (isinstance(layer, RecurrentLayer) and k == 1) or (isinstance(layer, LSTMUnitLayer) and k == 2):
        cont = np.ones(shape)
        cont[0] = 0  # a sequence begins
        return cont
    if isinstance(layer, EmbedLayer):
        return generator.integers(0, layer.param.input_dim, shape)
    if isinstance(layer, BatchReindexLayer) and k == 1:
        first = next(node for node in net.graph.nodes if node.layer is layer).bottom[0]
        return generator.integers(0, first.shape[0], shape)
    if isinstance(layer, FilterLayer) and k == layer.selector:
        return np.arange(count) % 2 == 0
    if k == 1 and (layer.is_loss or hasattr(layer, "labels")):
        return np.zeros(shape)
    return None

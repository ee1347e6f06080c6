"""Inputs of nets: the user's, as the net takes them, and random ones that suit the layers that read them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.export.onnx.graph import Array, Shape
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.common.embed import EmbedLayer
from pycaffe_lite.layer.detection.decode_bbox import DecodeBBoxLayer
from pycaffe_lite.layer.detection.frcnn_output import FrcnnOutputLayer
from pycaffe_lite.layer.detection.proposal import NumberedProposalLayer, ProposalLayer
from pycaffe_lite.layer.detection.region_routing import ScaleRouteLayer
from pycaffe_lite.layer.detection.roi_align import CornerROIAlignLayer, ROIAlignLayer, ROIAlignmentLayer
from pycaffe_lite.layer.detection.roi_pooling import PSROIPoolingLayer, ROIPoolingLayer
from pycaffe_lite.layer.loss.accuracy import AccuracyLayer
from pycaffe_lite.layer.loss.loss import LossLayer
from pycaffe_lite.layer.loss.seg_accuracy import SegAccuracyLayer
from pycaffe_lite.layer.recurrent.lstm_unit import LSTMUnitLayer
from pycaffe_lite.layer.recurrent.recurrent import RecurrentLayer
from pycaffe_lite.layer.utility.batch_reindex import BatchReindexLayer
from pycaffe_lite.layer.utility.filter import FilterLayer
from pycaffe_lite.layer.utility.python import PythonLayer
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split

# Which bottom of a layer holds regions of interest.
_REGIONS: dict[type, int] = {
    ROIPoolingLayer: 1,
    PSROIPoolingLayer: 1,
    CornerROIAlignLayer: 1,
    ROIAlignLayer: 1,
    ROIAlignmentLayer: 1,
    DecodeBBoxLayer: 1,
    ScaleRouteLayer: 0,
    FrcnnOutputLayer: 2,
}
_USUAL_SIDE = 600.0  # pixels
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


def fitting_mean(mean: Array, shape: Shape) -> Array:
    """A mean in the form that lies over an input, (N, C, H, W).

    Args:
        mean: (C,), (C, 1, 1) or (C, h, w); of a larger picture the middle counts, as of Caffe's crops.
    """
    mean = np.asarray(mean, np.float32)
    if mean.ndim == 1:
        mean = mean[:, None, None]
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if len(shape) != 4 or mean.ndim != 3 or mean.shape[0] not in (1, shape[1]):
        raise ArgumentError(f"a mean of shape {mean.shape} does not fit an input of shape {shape}")
    if mean.shape[1:] == (1, 1):
        return mean[None]
    H, W = int(shape[2]), int(shape[3])
    top, left = (mean.shape[1] - H) // 2, (mean.shape[2] - W) // 2
    if top < 0 or left < 0:
        raise ArgumentError(f"a mean of shape {mean.shape} is smaller than an input of shape {shape}")
    return np.ascontiguousarray(mean[None, :, top : top + H, left : left + W])


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
    if (isinstance(layer, RecurrentLayer) and k == 1) or (isinstance(layer, LSTMUnitLayer) and k == 2):
        cont = np.ones(shape)
        cont[0] = 0  # a sequence begins
        return cont
    if isinstance(layer, EmbedLayer):
        return generator.integers(0, layer.param.input_dim, shape)
    if isinstance(layer, BatchReindexLayer) and k == 1:
        return generator.integers(0, _bottoms(net, layer)[0].shape[0], shape)
    if isinstance(layer, FilterLayer) and k == layer.selector:
        return np.arange(math.prod(shape)) % 2 == 0
    if isinstance(layer, LossLayer | AccuracyLayer | SegAccuracyLayer) and k == 1:
        return np.zeros(shape)  # which every loss takes for a label
    if k == _REGIONS.get(type(layer)):
        return _regions(net, shape, generator)
    if k == 2 and isinstance(layer, ProposalLayer | NumberedProposalLayer | PythonLayer):
        return _resized(shape, (*_picture(net), 1.0, 1.0))
    if isinstance(layer, FrcnnOutputLayer) and k == 3:
        return _resized(shape, _picture(net))
    return None


def _bottoms(net: Net, layer: Layer[Any]) -> list[Blob]:
    return next(node for node in net.graph.nodes if node.layer is layer).bottom


def _resized(shape: tuple[int, ...], values: Sequence[float]) -> Array:
    """The first of some values, for each row of a shape."""
    return np.resize(np.array(values[: math.prod(shape[1:]) or 1]), shape)


def _picture(net: Net) -> tuple[float, float]:
    """Height and width of the picture that a net takes: of its first input of 4 axes with sides."""
    shapes = [net.blobs[name].shape for name in net.inputs]
    sides = [shape[2:] for shape in shapes if len(shape) == 4 and min(shape[2:]) > 1]
    height, width = sides[0] if sides else (_USUAL_SIDE, _USUAL_SIDE)
    return float(height), float(width)


def _regions(net: Net, shape: tuple[int, ...], generator: Any) -> Array:
    """Regions of the first picture: image, x1, y1, x2, y2 and, where there is room, more."""
    height, width = _picture(net)
    corners = np.sort(generator.uniform(0, 1, (shape[0], 2, 2)), axis=1) * (width - 1, height - 1)
    rows = np.zeros((shape[0], math.prod(shape[1:])))
    rows[:, 1:5] = corners.reshape(-1, 4)
    return rows.reshape(shape)

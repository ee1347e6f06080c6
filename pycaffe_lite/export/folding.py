"""Folding: layers that only scale and shift channels, worked into the layers of products beside them.

For y = a x + b by channel, behind a layer of products x = w u + c:  w ← a w, c ← a c + b; before one,
z = w y + c:  w ← w a, c ← c + w b, which a zero padding allows for b = 0 only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.export.copies import net_for_export
from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.export.statistics import averages
from pycaffe_lite.export.values import Piece, Pieces
from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.scale import ScaleLayer
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.common.dropout import DropoutLayer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.normalization.batch_norm import BatchNormLayer
from pycaffe_lite.layer.normalization.bn import BNLayer, RunningBNLayer, SegNetBNLayer
from pycaffe_lite.layer.normalization.intel_batch_norm import IntelBatchNormLayer
from pycaffe_lite.layer.normalization.nvidia_batch_norm import NvidiaBatchNormLayer
from pycaffe_lite.layer.utility.split import SplitLayer
from pycaffe_lite.layer.vision.base_convolution import BaseConvolutionLayer
from pycaffe_lite.layer.vision.deconvolution import DeconvolutionLayer
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2


class Affine(NamedTuple):
    """y = a x + b: a and b, (C,) each, float64."""

    a: Array
    b: Array


class Folded(NamedTuple):
    """A net without the layers that could be folded.

    Attributes:
        net: the new net. remarks: what became of each layer that is gone, a sentence each.
    """

    net: Net
    remarks: list[str]


def fold(net: Net) -> Net:
    """Folds BatchNorm, Scale and Bias into the convolution or inner product before or behind them.

    Dropout and Split layers, which do nothing in TEST, are taken out.

    Args:
        net: the net in TEST, with its weights. It stays as it is.

    Returns:
        A new net, float32, with Input layers for its data layers. Blobs that are still there have the names
        and, to rounding, the values that they had.
    """
    return folded(net).net


def folded(net: Net) -> Folded:
    """As `fold`, and says what it did."""
    parts = Pieces(net_for_export(net, writes_files=True))
    shared = _shared(parts)
    remarks: list[str] = []
    # Of several layers before one of products the last one goes first.
    for piece in [*parts.pieces, *reversed(parts.pieces)]:
        if piece not in parts.pieces:
            continue
        remark = _taken_out(parts, piece) or _folded(parts, piece, shared)
        if remark:
            parts.pieces.remove(piece)
            remarks.append(remark)
    return Folded(parts.to_net(), remarks)


def _shared(parts: Pieces) -> set[int]:
    """The ids of layers that share learnable blobs."""
    owners: dict[int, list[int]] = {}
    for piece in parts.pieces:
        for blob in piece.layer.blobs:
            owners.setdefault(blob.memory[0], []).append(id(piece.layer))
    return {layer for layers in owners.values() if len(layers) > 1 for layer in layers}


def _named(piece: Piece) -> str:
    return f"{piece.layer.name} ({piece.layer.type})"


# ------------------------------------------------------------------------- layers without effect


def _taken_out(parts: Pieces, piece: Piece) -> str:
    """Takes a layer that changes nothing out of the way; returns what to say, empty if it stays."""
    layer = piece.layer
    if not (isinstance(layer, SplitLayer) or (isinstance(layer, DropoutLayer) and layer.is_identity)):
        return ""
    source, maker = piece.bottoms[0], parts.maker(piece.bottoms[0])
    is_output = [not parts.readers(top) for top in piece.tops]
    if any(is_output):
        # The name of an output stays: what is before the layer takes it.
        if len(piece.tops) > 1 or maker is None or not maker.bottoms or len(parts.readers(source)) > 1:
            return ""
        maker.tops[[top is source for top in maker.tops].index(True)] = piece.tops[0]
        return f"{_named(piece)} does nothing in TEST: taken out"
    for reader in parts.pieces:
        reader.bottoms = [source if bottom in piece.tops else bottom for bottom in reader.bottoms]
    return f"{_named(piece)} does nothing in TEST: taken out"


# --------------------------------------------------------------------------------------- folding


def _folded(parts: Pieces, piece: Piece, shared: set[int]) -> str:
    """Works a layer that scales and shifts channels into its neighbour; returns what to say, or nothing."""
    if len(piece.bottoms) != 1 or len(piece.tops) != 1 or any(piece.layer.loss_weights):
        return ""
    affine = _affine_of(piece)
    if affine is None:
        return ""
    source, top = piece.bottoms[0], piece.tops[0]
    before = parts.maker(source)
    if before is not None and len(parts.readers(source)) == 1 and _takes(before, shared):
        if any(before.layer.loss_weights):
            return ""
        _fold_into_outputs(before, affine)
        before.tops = [top]
        return f"{_named(piece)} folded into {_named(before)}"
    readers = parts.readers(top)
    if len(readers) == 1 and _takes(readers[0], shared) and _fold_into_inputs(readers[0], affine):
        readers[0].bottoms = [source]
        return f"{_named(piece)} folded into {_named(readers[0])} behind it"
    return ""


def _takes(piece: Piece, shared: set[int]) -> bool:
    """Whether a layer is one of products with channels on axis 1, and its weights are its own."""
    layer = piece.layer
    if id(layer) in shared or len(piece.tops) != 1:
        return False
    if isinstance(layer, InnerProductLayer):
        return layer.axis == 1 and layer.rectifier.slope is None
    return isinstance(layer, BaseConvolutionLayer) and layer.axis == 1 and layer.rectifier.slope is None


def _affine_of(piece: Piece) -> Affine | None:
    """What a layer does to each channel (axis 1), if that is all it does."""
    layer, shape = piece.layer, piece.bottoms[0].shape
    if len(shape) < 2:
        return None
    C, blobs = shape[1], [np.asarray(blob, np.float64) for blob in piece.blobs]
    if isinstance(layer, ScaleLayer | BiasLayer):
        return _learnt_affine(layer, C, blobs) if layer.blobs and _is_by_channel(layer, shape) else None
    if isinstance(layer, DropoutLayer) and not layer.training:
        return Affine(np.full(C, layer.scale), np.zeros(C))
    statistics = _statistics(layer, blobs)
    if statistics is None:
        return None
    mean, variance, eps = statistics
    a = 1 / np.sqrt(variance + eps)
    b = -mean * a
    if isinstance(layer, BNLayer):
        scale = 1.0 if layer.scale is None else layer.scale.data.ravel().astype(np.float64)
        shift = 0.0 if layer.shift is None else layer.shift.data.ravel().astype(np.float64)
        a, b = a * scale, b * scale + shift
    return Affine(a, b)


def _is_by_channel(layer: ScaleLayer | BiasLayer, shape: tuple[int, ...]) -> bool:
    """Whether a factor or summand is one number, or one for each channel."""
    own = layer.blobs[0].shape if isinstance(layer, BiasLayer) or len(layer.layer_param.bottom) == 1 else None
    return own == () or (own == shape[1:2] and layer.param.axis % len(shape) == 1)


def _learnt_affine(layer: ScaleLayer | BiasLayer, C: int, blobs: list[Array]) -> Affine:
    if isinstance(layer, BiasLayer):
        return Affine(np.ones(C), np.broadcast_to(blobs[0], C))
    shift = blobs[1] if layer.bias is not None else np.zeros(())
    return Affine(np.broadcast_to(blobs[0], C), np.broadcast_to(shift, C))


def _statistics(layer: Layer[Any], blobs: list[Array]) -> tuple[Array, Array, float] | None:
    """The fixed mean, variance and eps of a batch normalisation."""
    if isinstance(layer, BatchNormLayer):
        return (*averages(blobs), layer.param.eps) if layer.use_global_stats else None
    if isinstance(layer, IntelBatchNormLayer):
        fixed = layer.use_global_stats and not layer.param.relu
        return (*averages(blobs[:3]), layer.eps) if fixed else None
    if isinstance(layer, NvidiaBatchNormLayer):
        return (blobs[0], blobs[1], layer.eps) if layer.phase == caffe_pb2.TEST else None
    if isinstance(layer, RunningBNLayer):
        fixed = layer.param.frozen or layer.phase == caffe_pb2.TEST
        return (blobs[2].ravel(), blobs[3].ravel(), layer.eps) if fixed else None
    if isinstance(layer, SegNetBNLayer) and layer.is_fixed:
        return np.zeros(layer.C), np.full(layer.C, 1 - layer.eps), layer.eps
    return None


def _fold_into_outputs(piece: Piece, affine: Affine) -> None:
    """Makes w ← a w and c ← a c + b, for a layer of products before the affine one."""
    layer, weight = piece.layer, np.asarray(piece.blobs[0], np.float64)
    outputs = len(affine.a)
    bias = np.asarray(piece.blobs[1], np.float64) if len(piece.blobs) > 1 else np.zeros(outputs)
    if isinstance(layer, InnerProductLayer):
        weight = weight * (affine.a if layer.param.transpose else affine.a[:, None])
    elif isinstance(layer, DeconvolutionLayer):
        grouped = weight.reshape(layer.group, -1, outputs // layer.group, *weight.shape[2:])
        factor = affine.a.reshape(layer.group, 1, -1, *(1,) * (weight.ndim - 2))
        weight = (grouped * factor).reshape(weight.shape)
    else:
        weight = weight * affine.a.reshape(-1, *(1,) * (weight.ndim - 1))
    _set_weights(piece, weight, bias * affine.a + affine.b)


def _fold_into_inputs(piece: Piece, affine: Affine) -> bool:
    """Makes w ← w a and c ← c + w b, for a layer behind the affine one; False if that is not the same."""
    layer, weight = piece.layer, np.asarray(piece.blobs[0], np.float64)
    shifts = bool(affine.b.any())
    more: Array = np.zeros(1)
    if isinstance(layer, InnerProductLayer):
        each = layer.K // len(affine.a)
        a, b = np.repeat(affine.a, each), np.repeat(affine.b, each)
        more = b @ weight if layer.param.transpose else weight @ b
        weight = weight * (a[:, None] if layer.param.transpose else a)
    elif isinstance(layer, DeconvolutionLayer):
        if shifts:
            return False
        weight = weight * affine.a.reshape(-1, *(1,) * (weight.ndim - 1))
    elif isinstance(layer, BaseConvolutionLayer):
        if shifts and any(layer.window.pad):
            return False
        grouped = weight.reshape(layer.group, -1, *weight.shape[1:])
        a, b = (part.reshape(layer.group, 1, -1, *(1,) * (weight.ndim - 2)) for part in (affine.a, affine.b))
        more = (grouped * b).reshape(len(weight), -1).sum(axis=1)
        weight = (grouped * a).reshape(weight.shape)
    bias = np.asarray(piece.blobs[1], np.float64) if len(piece.blobs) > 1 else 0.0
    _set_weights(piece, weight, np.broadcast_to(more + bias, layer.param.num_output))
    return True


def _set_weights(piece: Piece, weight: Array, bias: Array) -> None:
    if len(piece.blobs) > 1 or bias.any():
        own = "inner_product_param" if isinstance(piece.layer, InnerProductLayer) else "convolution_param"
        getattr(piece.message, own).bias_term = True
        piece.blobs = [weight, bias]
    else:
        piece.blobs = [weight]

"""Layers that move values, cut, join and pick them, and Softmax."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import INT_MAX, LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.utility.argmax import ArgMaxLayer
from pycaffe_lite.layer.utility.axpy import AxpyLayer
from pycaffe_lite.layer.utility.batch_reindex import BatchReindexLayer
from pycaffe_lite.layer.utility.concat import ConcatLayer
from pycaffe_lite.layer.utility.eltwise import EltwiseLayer
from pycaffe_lite.layer.utility.filter import FilterLayer
from pycaffe_lite.layer.utility.flatten import FlattenLayer
from pycaffe_lite.layer.utility.flip import FlipLayer, ReverseLayer
from pycaffe_lite.layer.utility.gather import GatherLayer
from pycaffe_lite.layer.utility.gather_batch import GatherBatchLayer
from pycaffe_lite.layer.utility.mean import MeanLayer
from pycaffe_lite.layer.utility.parameter import ParameterLayer
from pycaffe_lite.layer.utility.permute import PermuteLayer, TransposeLayer
from pycaffe_lite.layer.utility.pixel_shuffle import PixelShuffleLayer
from pycaffe_lite.layer.utility.reduction import ReductionLayer
from pycaffe_lite.layer.utility.reorg import ReorgLayer
from pycaffe_lite.layer.utility.reshape import ReshapeLayer
from pycaffe_lite.layer.utility.shuffle_channel import ShuffleChannelLayer
from pycaffe_lite.layer.utility.silence import SilenceLayer
from pycaffe_lite.layer.utility.slice import SliceLayer
from pycaffe_lite.layer.utility.softmax import SoftmaxLayer
from pycaffe_lite.layer.utility.split import SplitLayer
from pycaffe_lite.layer.utility.tile import TileLayer
from pycaffe_lite.layer.utility.weighted_sum import WeightedSumLayer
from pycaffe_lite.proto import caffe_pb2

_Eltwise = caffe_pb2.EltwiseParameter
_Reduction = caffe_pb2.ReductionParameter
_COMBINES = {_Eltwise.PROD: "Mul", _Eltwise.DIV: "Div"}
_COMPARES = {_Eltwise.MAX: "Max", _Eltwise.MIN: "Min"}
_REDUCTIONS = {
    _Reduction.SUM: "Sum",
    _Reduction.ASUM: "L1",
    _Reduction.SUMSQ: "SumSquare",
    _Reduction.MEAN: "Mean",
}


@converts(SilenceLayer)
def silence(g: LayerGraph, layer: SilenceLayer) -> list[str]:
    """Nothing."""
    return []


@converts(SplitLayer)
def split(g: LayerGraph, layer: SplitLayer) -> list[str]:
    """Nothing, or `Identity` for tops that the prototxt names."""
    return [g.x] * len(g.top_shapes)


@converts(ParameterLayer)
def parameter(g: LayerGraph, layer: ParameterLayer) -> str:
    """A constant."""
    return g.weight(layer.blobs[0], "parameter")


@converts(FlattenLayer, ReshapeLayer)
def reshape(g: LayerGraph, layer: FlattenLayer | ReshapeLayer) -> str:
    """`Reshape`."""
    return g.reshape(g.x, g.top_shapes[0])


@converts(PermuteLayer, TransposeLayer)
def transpose(g: LayerGraph, layer: PermuteLayer | TransposeLayer) -> str:
    """`Transpose`."""
    return g.op("Transpose", g.x, perm=list(layer.from_axes)) if layer.moves else g.x


@converts(ConcatLayer)
def concat(g: LayerGraph, layer: ConcatLayer) -> str:
    """`Concat`."""
    return g.x if len(g.bottoms) == 1 else g.op("Concat", *g.bottoms, axis=layer.axis)


@converts(SliceLayer)
def slice_(g: LayerGraph, layer: SliceLayer) -> list[str]:
    """`Split`."""
    axis = layer.axis
    sizes = [shape[axis] for shape in g.top_shapes]
    if not all(isinstance(n, int) for n in sizes):
        raise g.refuse("it cuts the axis of the batch: give a batch size")
    return g.split(g.x, axis, [int(n) for n in sizes])


@converts(TileLayer)
def tile(g: LayerGraph, layer: TileLayer) -> str:
    """`Tile`."""
    rank = len(g.bottom_shapes[0])
    repeats = [1] * rank
    repeats[layer.param.axis % rank] = layer.param.tiles
    return g.op("Tile", g.x, g.ints(repeats))


@converts(EltwiseLayer)
def eltwise(g: LayerGraph, layer: EltwiseLayer) -> str:
    """`Add` behind `Mul` by coefficients, `Mul`, `Div`, `Max` or `Min`."""
    operation = layer.param.operation
    if layer.is_sum:
        return g.sum_of([g.scaled(x, coeff) for x, coeff in zip(g.bottoms, layer.coeffs, strict=True)])
    if operation in _COMPARES:
        return g.op(_COMPARES[operation], *g.bottoms)
    total = g.x
    for x in g.bottoms[1:]:
        total = g.op(_COMBINES[operation], total, x)
    return total


@converts(WeightedSumLayer)
def weighted_sum(g: LayerGraph, layer: WeightedSumLayer) -> str:
    """`Split` of the coefficients, `Mul` and `Add`."""
    parts = g.split(g.bottoms[-1], 0, [1] * layer.K)
    terms = []
    for x, part, coeff in zip(g.bottoms, parts, layer.coeffs.tolist(), strict=False):
        weight = g.scaled(g.squeeze(part, [0]), coeff)
        given, rank = len(g.bottom_shapes[-1]) - 1, len(g.bottom_shapes[0])
        terms.append(g.op("Mul", g.unsqueeze(weight, range(given, rank)), x))
    return g.sum_of(terms)


@converts(GatherBatchLayer)
def gather_batch(g: LayerGraph, layer: GatherBatchLayer) -> list[str]:
    """Nothing."""
    return list(g.bottoms)


@converts(MeanLayer)
def mean(g: LayerGraph, layer: MeanLayer) -> list[str]:
    """`Mul` and `Add`, as far as the numbers need them."""
    p = layer.param
    sign = -1 if p.operation == caffe_pb2.MeanParameter.SUBTRACT else 1
    m = p.output_scale * sign * p.mean_scale * layer.mean
    results = []
    for x, shape in zip(g.bottoms, g.bottom_shapes, strict=True):
        channels = int(shape[1]) if len(shape) > 1 else 1
        whole = np.tile(m, (channels // len(m), 1, 1))
        whole = whole.reshape(whole.shape[: len(shape) - 1])
        results.append(g.op("Add", g.scaled(x, p.output_scale * p.input_scale), g.weight(whole, "mean")))
    return results


@converts(AxpyLayer)
def axpy(g: LayerGraph, layer: AxpyLayer) -> str:
    """`Mul` and `Add`."""
    a, x, y = g.bottoms
    rank = len(g.bottom_shapes[1])
    of_a = g.bottom_shapes[0]
    if len(of_a) != rank:
        a = g.reshape(a, (*of_a[:2], *(1,) * (rank - 2)), of_a)
    return g.op("Add", g.op("Mul", a, x), y)


@converts(SoftmaxLayer)
def softmax(g: LayerGraph, layer: SoftmaxLayer) -> str:
    """`Softmax`; before opset 13, over another axis than the last, `Sub`, `Exp`, `ReduceSum` and `Div`."""
    rank = len(g.bottom_shapes[0])
    return g.softmax(g.x, layer.param.axis % rank, rank)


@converts(ArgMaxLayer)
def argmax(g: LayerGraph, layer: ArgMaxLayer) -> str:
    """`ArgMax` with select_last_index; for top_k or values `TopK` of the reversed values."""
    p, shape = layer.param, g.bottom_shapes[0]
    has_axis = p.HasField("axis")
    axis = layer.axis if has_axis else 1
    x, of = (g.x, shape) if has_axis else (g.flatten_from(g.x, 1), (shape[0], count_of(shape[1:])))
    if not isinstance(of[axis], int):
        raise g.refuse("it looks along an axis whose length depends on the batch or on the data")
    if p.top_k == 1 and not p.out_max_val and g.opset >= 12:
        places = g.op("ArgMax", x, axis=axis, keepdims=1, select_last_index=1)
        values = ""
    else:  # of equal values TopK gives the smaller place first, Caffe the larger
        turned = g.slice(x, [-1], [-INT_MAX], [axis], [-1])
        values, found = g.ops("TopK", turned, g.ints([p.top_k]), results=2, axis=axis)
        places = g.op("Sub", g.ints(int(of[axis]) - 1), found)
    if has_axis:
        return values if p.out_max_val else g.to_float(places)
    rows: Shape = (shape[0], 2 if p.out_max_val else 1, p.top_k)
    both = g.to_float(places)
    if p.out_max_val:
        both = g.op("Concat", both, values, axis=1)
    return g.reshape(both, g.top_shapes[0], (shape[0], int(rows[1]) * p.top_k))


@converts(ReductionLayer)
def reduction(g: LayerGraph, layer: ReductionLayer) -> str:
    """`ReduceSum`, `ReduceL1`, `ReduceSumSquare` or `ReduceMean`, and `Mul` by coeff."""
    rank, p = len(g.bottom_shapes[0]), layer.param
    axis, kind = p.axis % rank if rank else 0, _REDUCTIONS[p.operation]
    reduced = g.reduce(kind, g.x, list(range(axis, rank))) if axis else g.reduce_all(kind, g.x, rank)
    return g.scaled(reduced, p.coeff)


@converts(BatchReindexLayer)
def batch_reindex(g: LayerGraph, layer: BatchReindexLayer) -> str:
    """`Gather`."""
    return g.op("Gather", g.x, g.to_int(g.bottoms[1]), axis=0)


@converts(FilterLayer)
def filter_(g: LayerGraph, layer: FilterLayer) -> list[str]:
    """`Compress`."""
    *inputs, selector = g.bottoms
    of = g.bottom_shapes[-1]
    picked = g.to_bool(g.reshape(selector, of[:1], of))
    return [g.op("Compress", x, picked, axis=0) for x in inputs]


@converts(GatherLayer)
def gather(g: LayerGraph, layer: GatherLayer) -> str:
    """`Gather`."""
    return g.op("Gather", g.x, g.ints(layer.indices.reshape(layer.shape)), axis=layer.axis)


@converts(FlipLayer, ReverseLayer)
def flip(g: LayerGraph, layer: FlipLayer | ReverseLayer) -> str:
    """`Slice` with steps of -1."""
    n = len(layer.axes)
    return g.slice(g.x, [-1] * n, [-INT_MAX] * n, list(layer.axes), [-1] * n)


@converts(ShuffleChannelLayer)
def shuffle_channel(g: LayerGraph, layer: ShuffleChannelLayer) -> str:
    """`Reshape`, `Transpose` and `Reshape`."""
    N, C, *rest = g.bottom_shapes[0]
    group = layer.param.group
    each = int(C) // group
    dealt = g.op(
        "Transpose", g.reshape(g.x, (N, group, each, *rest)), perm=[0, 2, 1, *range(3, 3 + len(rest))]
    )
    return g.reshape(dealt, g.top_shapes[0], (N, each, group, *rest))


@converts(PixelShuffleLayer)
def pixel_shuffle(g: LayerGraph, layer: PixelShuffleLayer) -> str:
    """`DepthToSpace`, mode CRD."""
    return g.op("DepthToSpace", g.x, blocksize=layer.param.pixelshuffler, mode="CRD")


@converts(ReorgLayer)
def reorg(g: LayerGraph, layer: ReorgLayer) -> str:
    """`Reshape`, `Transpose` and `Reshape`: darknet's order."""
    s = layer.param.stride
    # The smaller image, of more channels, has shape (a, b, c, H, W); the larger one (c, H, a, W, b).
    ones: Shape = (1,) * (4 - len(g.bottom_shapes[0]))
    N, C, H, W = (*g.bottom_shapes[0], *ones)
    fewer = int(C) // s**2
    smaller: Shape = (N, s, s, fewer, H, W)
    larger: Shape = (N, fewer, H, s, W, s)
    if layer.param.reverse:
        moved, of = g.op("Transpose", g.reshape(g.x, smaller), perm=[0, 3, 4, 1, 5, 2]), larger
    else:
        moved, of = g.op("Transpose", g.reshape(g.x, larger), perm=[0, 3, 5, 1, 2, 4]), smaller
    return g.reshape(moved, g.top_shapes[0], of)

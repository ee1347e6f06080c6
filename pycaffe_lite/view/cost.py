"""What a layer's forward pass costs: multiply-adds by type, and the memory that it reads and writes.

A multiply-add is a product and the addition that takes it up. A sum, a quotient or a function's value that is
not part of one counts as one as well; comparisons and copies count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pycaffe_lite.blob import Blob
from pycaffe_lite.net.graph import Node
from pycaffe_lite.proto import caffe_pb2

TEST = caffe_pb2.TEST
Cost = Callable[[Node], int]


def multiply_adds(node: Node) -> int | None:
    """The multiply-adds of a layer's forward pass at its present shapes.

    Args:
        node: the layer with its bottoms and tops.

    Returns:
        Their number; None where it depends on the data or a user's Python code, and for types that this
        module does not know.
    """
    cost = _COSTS.get(node.layer.type)
    return None if cost is None else cost(node)


def traffic(node: Node) -> int:
    """The bytes that a forward pass reads and writes at least: bottoms, weights and tops, each once."""
    copies = node.layer.type in ("Split", "Reshape", "Flatten") or not node.bottom
    return 0 if copies else sum(_bytes(blob) for blob in (*node.bottom, *node.layer.blobs, *node.top))


def _bytes(blob: Blob) -> int:
    return blob.count * blob.dtype.itemsize


# ----------------------------------------------------------------------------------- products with weights


def _convolution(node: Node) -> int:
    """Each value of a result is the product of a kernel with a patch; the bias is where the sum begins."""
    weight = node.layer.blobs[0]
    results = node.bottom if node.layer.type == "Deconvolution" else node.top
    return sum(blob.count for blob in results) * (weight.count // weight.shape[0])


def _inner_product(node: Node) -> int:
    layer: Any = node.layer
    return node.top[0].count * int(layer.blobs[0].count // layer.param.num_output)


def _embed(node: Node) -> int:
    return node.top[0].count if len(node.layer.blobs) > 1 else 0


def _lstm(node: Node) -> int:
    """Four gates of x_t, h_t-1 and x_static, and nine operations that make c and h of them."""
    T, N, D = node.top[0].shape
    return _input_products(node, 4) + T * N * D * (4 * D + 9)


def _rnn(node: Node) -> int:
    T, N, D = node.top[0].shape
    return _input_products(node, 1) + T * N * D * (2 * D + 3)


def _input_products(node: Node, gates: int) -> int:
    layer: Any = node.layer
    T, N, D = node.top[0].shape
    return int(gates * D * (T * N * layer.I + N * layer.S))


# -------------------------------------------------------------------- windows, channels and whole batches


def _pooling(node: Node) -> int:
    layer: Any = node.layer
    area = math.prod(layer.kernel)
    modes = caffe_pb2.PoolingParameter
    factor = {modes.MAX: 0, modes.AVE: 1, modes.STOCHASTIC: 2 if layer.phase == TEST else 1}
    return int(node.top[0].count * area * factor[layer.param.pool])


def _volume_pooling(node: Node) -> int:
    layer: Any = node.layer
    return 0 if layer.is_max else node.top[0].count * math.prod(int(k) for k in layer.window[0])


def _spp(node: Node) -> int:
    """Each level of the pyramid covers the planes once."""
    p: Any = node.layer.param
    return 0 if p.pool == caffe_pb2.SPPParameter.MAX else node.bottom[0].count * int(p.pyramid_height)


def _lrn(node: Node) -> int:
    p: Any = node.layer.param
    is_within = p.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL
    size = int(p.local_size)
    return node.bottom[0].count * ((size**2 if is_within else size) + 2)


def _batch_norm(node: Node) -> int:
    """With the batch's own statistics, each value goes into a mean and a variance before it is normalised."""
    layer: Any = node.layer
    is_given = getattr(layer, "use_global_stats", layer.phase == TEST)
    return node.bottom[0].count * (1 if is_given else 3)


def _mvn(node: Node) -> int:
    p: Any = node.layer.param
    return node.bottom[0].count * (3 if p.normalize_variance else 1)


# ------------------------------------------------------------------------------------------ value by value


def _per_value(times: int) -> Cost:
    return lambda node: times * node.bottom[0].count


def _relu(node: Node) -> int:
    p: Any = node.layer.param
    return node.bottom[0].count if p.negative_slope else 0


def _power(node: Node) -> int:
    p: Any = node.layer.param
    return node.bottom[0].count * (int(p.power != 1) + int((p.scale, p.shift) != (1, 0)))


def _exp(node: Node) -> int:
    p: Any = node.layer.param
    return node.bottom[0].count * (1 + int((p.scale, p.shift, p.base) != (1, 0, -1)))


def _dropout(node: Node) -> int:
    return 0 if node.layer.phase == TEST else node.bottom[0].count


def _eltwise(node: Node) -> int:
    p: Any = node.layer.param
    if p.operation in (caffe_pb2.EltwiseParameter.MAX, caffe_pb2.EltwiseParameter.MIN):
        return 0
    return node.top[0].count * (len(node.bottom) - (0 if any(c != 1 for c in p.coeff) else 1))


def _free(node: Node) -> int:
    return 0


# Not here is what depends on the boxes, the labels, or the user's code.
_COSTS: dict[str, Cost] = {
    **dict.fromkeys(
        (
            *("Convolution", "Deconvolution", "DepthwiseConvolution", "ConvolutionDepthwise"),
            *("Convolution3D", "NdConvolution"),
        ),
        _convolution,
    ),
    **dict.fromkeys(("InnerProduct", "MarginInnerProduct"), _inner_product),
    "Embed": _embed,
    "LSTM": _lstm,
    "LSTMUnit": lambda node: 8 * node.top[0].count,
    "RNN": _rnn,
    "Pooling": _pooling,
    **dict.fromkeys(("NdPooling", "Pooling3D"), _volume_pooling),
    "SPP": _spp,
    "LRN": _lrn,
    **dict.fromkeys(("BatchNorm", "BN"), _batch_norm),
    "MVN": _mvn,
    "Normalize": _per_value(2),
    **dict.fromkeys(("ReLU", "ReLU6"), _relu),
    "Power": _power,
    "Exp": _exp,
    "Dropout": _dropout,
    "Eltwise": _eltwise,
    "Axpy": lambda node: node.top[0].count,
    "Interp": lambda node: 4 * node.top[0].count,
    "ROIAlign": lambda node: 16 * node.top[0].count,  # four samples, each of four values
    **dict.fromkeys(("Scale", "Bias", "PReLU", "ELU", "TanH", "Log", "Reduction"), _per_value(1)),
    **dict.fromkeys(("HardSigmoid", "SeLU", "SeLu"), _per_value(1)),
    **dict.fromkeys(("HardSwish", "Sigmoid", "BNLL"), _per_value(2)),
    **dict.fromkeys(("Swish", "Softmax"), _per_value(3)),
    "Mish": _per_value(4),
    # Losses, whose sums take a few operations for each value of the prediction.
    **dict.fromkeys(("EuclideanLoss", "L1Loss", "HingeLoss", "CenterLoss", "InfogainLoss"), _per_value(2)),
    **dict.fromkeys(("ContrastiveLoss", "SmoothL1Loss", "SmoothL1LossOHEM"), _per_value(3)),
    **dict.fromkeys(("SoftmaxWithLoss", "SoftmaxWithLossOHEM", "FocalLoss"), _per_value(3)),
    **dict.fromkeys(("SigmoidCrossEntropyLoss", "TripletLoss"), _per_value(4)),
    "MultinomialLogisticLoss": lambda node: node.bottom[0].shape[0],
    # Comparisons and copies.
    **dict.fromkeys(
        (
            *(
                "AbsVal",
                "Accuracy",
                "ArgMax",
                "BatchReindex",
                "Clip",
                "Concat",
                "ContinuationIndicator",
                "Crop",
            ),
            *("Data", "DummyData", "Filter", "Flatten", "Flip", "Gather", "HDF5Data", "HDF5Output", "Im2col"),
            *(
                "ImageData",
                "Input",
                "LabelsequenceAccuracy",
                "MemoryData",
                "Parameter",
                "Permute",
                "PriorBox",
            ),
            *("PriorBoxClustered", "ROIPooling", "Reorg", "Reshape", "Reverse", "SegAccuracy", "Silence"),
            *("ShuffleChannel", "Slice", "Split", "Threshold", "Tile", "Transpose", "Upsample", "WindowData"),
        ),
        _free,
    ),
}

"""How Caffe draws layers and blobs: colours by kind, and what stands in boxes and at edges.

Source: BVLC/caffe python/caffe/draw.py
"""

from __future__ import annotations

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.proto import caffe_pb2

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_CONVOLUTIONS = ("Convolution", "Deconvolution")
_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
    # Types of forks that do the same.
    "ConvolutionDepthwise": "#FF5050",
    "Convolution3D": "#FF5050",
    "DepthwiseConvolution": "#FF5050",
    "NdConvolution": "#FF5050",
    "NdPooling": "#FF9900",
    "Pooling3D": "#FF9900",
    "PSROIPooling": "#FF9900",
    "ROIPooling": "#FF9900",
}
NO_LABEL = '""'


def get_pooling_types_dict() -> dict[int, str]:
    """The names of the kinds of pooling by their numbers."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """What stands at the edges to a layer's tops: its batch size, its number of outputs, or ""."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in _CONVOLUTIONS:
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return NO_LABEL


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> tuple[float, float]:
    """The multipliers of the learning rate of a layer's weights and bias.

    Raises:
        ArgumentError: the layer is no Convolution, Deconvolution or InnerProduct, or has more than two.
    """
    if layer.type not in (*_CONVOLUTIONS, "InnerProduct"):
        raise ArgumentError(f"{layer.type} layers do not have a learning rate multiplier")
    given = [param.lr_mult for param in layer.param]
    if len(given) > 2:
        raise ArgumentError(
            f"layer '{layer.name}' ({layer.type}) has multipliers for {len(given)} blobs, not for 2 at most"
        )
    weights, bias = [*given, 1.0, 1.0][:2]
    return weights, bias


def get_layer_label(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """What stands in a layer's box, in double quotes: name, type, and how a window slides, if it does.

    Args:
        layer: the layer.
        rankdir: LR stacks the parts, parted by a backslash and an n; else they stand in a row.
        display_lrm: show the multipliers of the learning rate, unless both are 0.
    """
    kind, window = layer.type, None
    if layer.type in _CONVOLUTIONS:
        p = layer.convolution_param
        window = (*p.kernel_size, 1)[0], (*p.stride, 1)[0], (*p.pad, 0)[0]
    elif layer.type == "Pooling":
        q = layer.pooling_param
        kind = f"Pooling {get_pooling_types_dict()[q.pool]}"
        window = q.kernel_size, q.stride, q.pad
    parts = [layer.name, f"({kind})"]
    if window:
        parts.extend(map("{}: {}".format, ("kernel size", "stride", "pad"), window))
    if display_lrm and layer.type in (*_CONVOLUTIONS, "InnerProduct"):
        multipliers = get_layer_lr_mult(layer)
        if any(multipliers):
            parts.append("lr mult: {:.1f}, {:.1f}".format(*multipliers))
    return '"' + (r"\n" if rankdir == "LR" else " ").join(parts) + '"'


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer type's boxes, `#6495ED`."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])

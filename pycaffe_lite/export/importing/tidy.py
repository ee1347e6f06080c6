"""Fewer layers that compute the same: neighbours are joined, what nobody reads goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from pycaffe_lite.export.importing.caffe_net import CaffeNet
from pycaffe_lite.proto import caffe_pb2

Layer = caffe_pb2.LayerParameter
_WITH_BIAS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Scale": "scale_param",
}


def tidy(net: CaffeNet, outputs: Collection[str]) -> None:
    """Joins layers, removes those that nobody reads, and silences tops that nobody reads."""
    _remove_unread(net, outputs)
    _join(net, outputs)
    for layer in net.layers:
        _make_prelu(net, layer)
    _remove_unread(net, outputs)
    _silence(net, outputs)


def _join(net: CaffeNet, outputs: Collection[str]) -> None:
    readers = Counter(bottom for layer in net.layers for bottom in layer.bottom)
    readers.update(outputs)
    makers = {top: layer for layer in net.layers for top in layer.top}
    gone: set[int] = set()
    for layer in net.layers:
        if len(layer.bottom) != 1 or len(layer.top) != 1:
            continue
        before = makers[layer.bottom[0]]
        if readers[layer.bottom[0]] != 1 or len(before.top) != 1:
            continue
        if _join_bias(net, before, layer) or _join_powers(before, layer):
            gone.add(id(layer))
            net.weights.pop(layer.name, None)
            del net.shapes[before.top[0]]
            before.top[0] = layer.top[0]
            makers[layer.top[0]] = before
    net.layers = [layer for layer in net.layers if id(layer) not in gone]


def _join_bias(net: CaffeNet, before: Layer, layer: Layer) -> bool:
    """Makes a Bias layer part of the layer before it."""
    if layer.type != "Bias" or before.type not in _WITH_BIAS or len(before.bottom) != 1:
        return False
    param = getattr(before, _WITH_BIAS[before.type])
    if param.bias_term and before.type != "Scale":
        return False
    (bias,) = net.weights[layer.name]
    if before.type == "Scale":
        if (
            param.bias_term
            or param.axis != layer.bias_param.axis
            or param.num_axes != layer.bias_param.num_axes
        ):
            return False
    elif layer.bias_param.axis != param.axis or bias.shape != (param.num_output,):
        return False
    param.bias_term = True
    if before.type != "Scale":
        param.ClearField("bias_term")  # it is the default
    net.weights[before.name].append(bias)
    return True


def _join_powers(before: Layer, layer: Layer) -> bool:
    """Makes one layer of c (a x + b) + d, and of (a x + b) ^ p."""
    if layer.type != "Power" or before.type != "Power" or before.power_param.power != 1:
        return False
    a, b = before.power_param.scale, before.power_param.shift
    c, d = layer.power_param.scale, layer.power_param.shift
    if a == c == 1 and b and d and layer.power_param.power == 1 and abs(b + d) < 1e-3 * max(abs(b), abs(d)):
        return False  # the sum would lose what the single steps keep
    before.power_param.scale, before.power_param.shift = a * c, b * c + d
    before.power_param.power = layer.power_param.power
    for name, default in (("scale", 1), ("shift", 0), ("power", 1)):
        if getattr(before.power_param, name) == default:
            before.power_param.ClearField(name)
    return True


def _make_prelu(net: CaffeNet, layer: Layer) -> None:
    """Makes a PReLU of max(x, 0) + c max(-x, 0), as Keras writes it; the slope is -c."""
    if layer.type != "Eltwise" or layer.eltwise_param.ListFields() or len(layer.bottom) != 2:
        return
    positive, scaled = (net.maker(bottom) for bottom in layer.bottom)
    if positive.type != "ReLU" or scaled.type not in ("Scale", "Power") or len(scaled.bottom) != 1:
        return
    negative = net.maker(scaled.bottom[0])
    if negative.type != "ReLU" or any(part.relu_param.ListFields() for part in (positive, negative)):
        return
    turned = net.maker(negative.bottom[0])
    if turned.type != "Power" or _factor(turned) != -1 or turned.bottom != positive.bottom:
        return
    x, shape = positive.bottom[0], net.shapes[positive.bottom[0]]
    if scaled.type == "Power":
        factor = _factor(scaled)
        if factor is None:
            return
        layer.type = "ReLU"
        layer.relu_param.negative_slope = -factor
    elif 2 <= len(shape) <= 4 and not scaled.scale_param.ListFields():  # a factor for each channel
        layer.type = "PReLU"
        net.weights[layer.name] = [-net.weights[scaled.name][0]]
    else:
        return
    layer.bottom[:] = [x]
    layer.ClearField("eltwise_param")


def _factor(layer: Layer) -> float | None:
    """By what a Power layer multiplies; None if it does something else."""
    param = layer.power_param
    return float(param.scale) if param.power == 1 and param.shift == 0 else None


def _remove_unread(net: CaffeNet, outputs: Collection[str]) -> None:
    """Removes layers of which no top is read, again and again."""
    wanted = set(outputs)
    kept = []
    for layer in reversed(net.layers):
        if layer.type == "Input" or wanted.intersection(layer.top):
            wanted.update(layer.bottom)
            kept.append(layer)
        else:
            net.weights.pop(layer.name, None)
            for top in layer.top:
                del net.shapes[top]
    net.layers = kept[::-1]


def _silence(net: CaffeNet, outputs: Collection[str]) -> None:
    """Gives tops that nobody reads to Silence layers: else they were outputs of the net."""
    read = {bottom for layer in net.layers for bottom in layer.bottom} | set(outputs)
    for layer in list(net.layers):
        unread = [top for top in layer.top if top not in read]
        if unread:
            with net.node(f"{layer.name}_rest"):
                net.add("Silence", unread, [])

"""Pooling: what ONNX rounds down, pads on one side or counts without its padding, by Caffe's rules.

Caffe rounds the number of windows up, drops a last one that would begin behind the image and its padding,
pads both ends of an axis alike, and divides averages by the part of the window that lies in the image or its
padding. So of Caffe's windows some may be too many: those are cut off; and averages may need another divisor:
then a Scale layer follows, with a factor for each place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, operator
from pycaffe_lite.export.importing.operators.convolution import pads_of, strides_of
from pycaffe_lite.export.importing.values import Array, View


class Windows(NamedTuple):
    """The windows along one axis.

    Attributes:
        size: of the image. kernel, stride: of the windows. before: the padding in front of the first.
        number: how many there are. end: where divisors stop counting: the image's size and its padding.
    """

    size: int
    kernel: int
    stride: int
    before: int
    number: int
    end: int

    @property
    def is_trivial(self) -> bool:
        """Whether each window is one pixel, and each pixel a window."""
        return self.kernel == self.stride == 1 and self.number == self.size

    @property
    def starts(self) -> Array:
        """Where each begins; negative in the padding."""
        return np.arange(self.number) * self.stride - self.before

    def inside(self) -> Array:
        """How many pixels of the image are in each."""
        ends = np.minimum(self.starts + self.kernel, self.size)
        pixels: Array = np.maximum(ends - np.maximum(self.starts, 0), 0)
        return pixels

    def counted(self) -> Array:
        """How many pixels of the image and its padding are in each."""
        pixels: Array = np.maximum(np.minimum(self.starts + self.kernel, self.end) - self.starts, 1)
        return pixels


def _caffes(size: int, kernel: int, stride: int, pad: int, *, any_pad: bool) -> Windows | None:
    """Caffe's windows for a padding; None where it has none."""
    if pad >= kernel or size + 2 * pad < kernel:
        return None
    count = -(-(size + 2 * pad - kernel) // stride) + 1
    if any_pad and (count - 1) * stride >= size + pad:
        count -= 1
    return Windows(size, kernel, stride, pad, count, size + pad)


def _choose(wanted: Sequence[Windows]) -> list[Windows]:
    """Caffe's windows along each axis, among which all that are wanted are, and few others.

    A larger padding than the wanted one, by whole strides, makes more windows, of which the first are too
    many.

    Raises:
        InexpressibleError: there are none.
    """
    any_pad = any(w.before for w in wanted)
    chosen = [_enough(w, any_pad=any_pad) for w in wanted]
    if not any_pad and any(t is None or t.before for t in chosen):
        chosen = [_enough(w, any_pad=True) for w in wanted]
    found = [t for t in chosen if t is not None]
    if len(found) < len(wanted):
        raise InexpressibleError(
            "no padding of Caffe's has these windows", "put a padding layer before it, or pad both ends alike"
        )
    return found


def _enough(wanted: Windows, *, any_pad: bool) -> Windows | None:
    """Caffe's windows of the least padding that gives all that are wanted."""
    for pad in range(wanted.before, wanted.kernel, wanted.stride):
        theirs = _caffes(wanted.size, wanted.kernel, wanted.stride, pad, any_pad=any_pad)
        if theirs is not None and theirs.number >= wanted.number + _skipped(theirs, wanted):
            return theirs
    return None


def _skipped(theirs: Windows, wanted: Windows) -> int:
    """How many of the first of Caffe's windows are too many."""
    return (theirs.before - wanted.before) // wanted.stride


def _pooled(
    net: CaffeNet, x: View, wanted: Sequence[Windows], method: str, divisors: Sequence[Array] | None
) -> View:
    """The pooling layer for a (N, C, H, W) tensor, and what has to follow it.

    Args:
        net: where layers go. x: the tensor. wanted: the windows along height and width.
        method: MAX or AVE. divisors: of averages, along each axis: their product is divided by.
    """
    blob = net.plain(x)
    shape = net.shapes[blob]
    choice = _choose(wanted)
    skipped = [_skipped(theirs, w) for theirs, w in zip(choice, wanted, strict=True)]
    rounds_down = (
        "round_mode" in net.allowed
        and any(theirs.number != w.number for theirs, w in zip(choice, wanted, strict=True))
        and all((w.size + 2 * w.before - w.kernel) // w.stride + 1 == w.number for w in wanted)
    )
    param: dict[str, Any] = {} if method == "MAX" else {"pool": method}
    param |= _by_axis("kernel", [w.kernel for w in wanted]) | _by_axis(
        "stride", [w.stride for w in wanted], 1
    )
    if rounds_down:
        choice = [w._replace(end=w.size + w.before) for w in wanted]
        skipped = [0] * len(wanted)
        param["round_mode"] = "FLOOR"
    param |= _by_axis("pad", [w.before for w in choice], 0)
    made = shape[:2] + tuple(w.number for w in choice)
    blob = net.one("Pooling", blob, made, main=True, pooling_param=param)
    for axis, (theirs, w, skip) in enumerate(zip(choice, wanted, skipped, strict=True)):
        if theirs.number != w.number:
            blob = net.part(blob, axis + 2, skip, skip + w.number)
    view = View.of(blob, net.shapes[blob])
    if divisors is None:
        return view
    caffes = [
        theirs.counted()[skip : skip + w.number]
        for theirs, w, skip in zip(choice, wanted, skipped, strict=True)
    ]
    factors = np.outer(caffes[0] / divisors[0], caffes[1] / divisors[1])
    if np.all(factors == factors.flat[0]):
        return net.power(view, scale=float(factors.flat[0]))
    return net.same(view, "Scale", weights=[factors], scale_param={"axis": 2, "num_axes": 2})


def _pooled_along(
    net: CaffeNet, x: View, wanted: Sequence[Windows], method: str, divisors: Sequence[Array] | None
) -> View:
    """The same for a tensor of one to three axes behind its channels.

    Three are pooled one after another: the last two, then the first, with the others merged.
    """
    N, C, *sizes = x.shape
    shape = (N, C, *(w.number for w in wanted))
    if len(sizes) == 2:
        return _pooled(net, x, wanted, method, divisors)
    blob, first = net.plain(x), wanted[0]
    if len(sizes) == 3 and not all(w.is_trivial for w in wanted[1:]):
        blob = net.reshape(blob, (N, C * sizes[0], *sizes[1:]))
        image = View.of(blob, net.shapes[blob])
        blob = net.plain(_pooled(net, image, wanted[1:], method, divisors and divisors[1:]))
    rest = int(np.prod(shape[3:]))
    blob = net.reshape(blob, (N, C, first.size, rest))
    if not first.is_trivial or len(sizes) == 1:
        image = View.of(blob, net.shapes[blob])
        both = first, Windows(rest, 1, 1, 0, rest, rest)
        blob = net.plain(_pooled(net, image, both, method, divisors and [divisors[0], np.ones(rest)]))
    return View.of(net.reshape(blob, shape), shape)


def _by_axis(name: str, values: Sequence[int], default: int | None = None) -> dict[str, int]:
    """A field of PoolingParameter: one for both axes if they are equal."""
    if all(value == default for value in values):
        return {}
    if values[0] == values[1]:
        return {"kernel_size" if name == "kernel" else name: values[0]}
    return {f"{name}_h": values[0], f"{name}_w": values[1]}


@operator("MaxPool", "AveragePool", "LpPool")
def pool(node: Node) -> View | list[View | None]:
    """The greatest value, the mean or a norm of each window."""
    net, x = node.net, node.view()
    kernel = node.attribute("kernel_shape") or []
    axes = len(kernel)
    if axes not in (1, 2, 3) or len(x.shape) != axes + 2:
        raise InexpressibleError(f"it pools {axes} axes of a tensor of shape {x.shape}; Caffe pools two")
    if node.is_used(1):
        raise InexpressibleError(
            "the places of the greatest values are used", "Caffe numbers them within each channel"
        )
    stride, dilation = strides_of(node, axes)
    if any(d != 1 for d in dilation):
        raise InexpressibleError("its windows have gaps (dilations), which Caffe's pooling lacks")
    pads, shape = pads_of(node, x.shape[2:], kernel), node.shape()
    if any(pad < 0 for both in pads for pad in both):
        raise InexpressibleError("it has negative pads")
    x, pads = _with_zeros(node, x, pads)
    windows = [
        Windows(n, k, s, before, count, n + behind)
        for n, k, s, (before, behind), count in zip(x.shape[2:], kernel, stride, pads, shape[2:], strict=True)
    ]
    if node.op == "LpPool":
        result = _norm(node, x, windows)
    else:
        divisors = None
        if node.op == "AveragePool":
            counts_pad = node.attribute("count_include_pad", 0)
            divisors = [w.counted() if counts_pad else np.maximum(w.inside(), 1) for w in windows]
        result = _pooled_along(net, x, windows, "AVE" if node.op == "AveragePool" else "MAX", divisors)
    return [result, None][: len(node.outputs)]


def _with_zeros(node: Node, x: View, pads: list[tuple[int, int]]) -> tuple[View, list[tuple[int, int]]]:
    """Takes zeros that were put around what is never negative for the padding of a MAX pooling."""
    source, widths = node.net.unpadded(x)
    if node.op != "MaxPool" or not widths or not widths.keys() <= {2, 3}:
        return x, pads
    maker = node.net.maker(source.blob)
    positive = maker.type == "Sigmoid" or (maker.type == "ReLU" and not maker.relu_param.negative_slope)
    positive = positive or maker.type == "ReLU6" or (maker.type == "Clip" and maker.clip_param.min >= 0)
    kernel = node.attribute("kernel_shape")
    joined = [
        (a + widths.get(i + 2, (0, 0))[0], b + widths.get(i + 2, (0, 0))[1]) for i, (a, b) in enumerate(pads)
    ]
    if not positive or any(max(both) >= k for both, k in zip(joined, kernel, strict=True)):
        return x, pads
    return source, joined


def _norm(node: Node, x: View, windows: Sequence[Windows]) -> View:
    """The sum of |x|^p in each window, to the power of 1/p."""
    net, p = node.net, node.attribute("p", 2)
    powers = net.power(x, power=2) if p == 2 else net.power(net.same(x, "AbsVal"), power=p)
    sums = _pooled_along(net, powers, windows, "AVE", [np.ones(w.number) for w in windows])
    return net.power(sums, power=1 / p)


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: Node) -> View:
    """The mean, or the greatest value, of each channel."""
    net, x = node.net, node.view()
    shape = node.shape()
    blob = net.plain(x)
    if len(shape) != 4:
        blob = net.reshape(blob, (*x.shape[:2], int(np.prod(x.shape[2:])), 1))
    param = {"global_pooling": True} | ({} if node.op == "GlobalMaxPool" else {"pool": "AVE"})
    blob = net.one("Pooling", blob, (*shape[:2], 1, 1), main=True, pooling_param=param)
    return View.of(net.reshape(blob, shape), shape)

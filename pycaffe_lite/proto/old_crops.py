"""CROP layers of the old format, whose offsets the first FCN nets left to the geometry of the net.

A pixel x of a layer's bottom lies at a x + b of its top, with an a and b for each axis: a convolution of
stride 2 has a = 1/2. A crop makes its first bottom fit its second, so its offset is how far the two lie
apart, by way of a blob that both come from.

Source: longjon/caffe, branch future, src/caffe/layers/crop_layer.cpp; BVLC/caffe python/caffe/coord_map.py
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from pycaffe_lite.proto import caffe_pb2

# Types that leave every pixel where it is, in one of their bottoms.
_SAME_PLACES = (
    "AbsVal", "BatchNorm", "Bias", "BN", "BNLL", "Concat", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN",
    "MVN", "Power", "PReLU", "ReLU", "Scale", "Sigmoid", "Softmax", "Split", "TanH", "Threshold",
)  # fmt: skip


class Line(NamedTuple):
    """The map x → scale x + shift."""

    scale: Fraction
    shift: Fraction

    def after(self, first: Line) -> Line:
        """This map, of what another one gives."""
        return Line(self.scale * first.scale, self.scale * first.shift + self.shift)


IDENTITY = Line(Fraction(1), Fraction(0))
Lines = tuple[Line, Line]  # along height and width


def crop_offsets(layers: Sequence[caffe_pb2.LayerParameter], index: int) -> list[int]:
    """The offsets along height and width of a Crop layer, from the layers before it.

    Args:
        layers: those of the net, in order. index: of the Crop layer.

    Raises:
        ValueError: there is no such offset; the message says why, in words that follow a layer's name.
    """
    sources = _sources(layers[:index])
    if len(layers[index].bottom) != 2:
        raise ValueError(f"takes 2 bottoms, got {len(layers[index].bottom)}")
    first, second = layers[index].bottom
    own, others = (sources.get(name) or _itself(name) for name in (first, second))
    common = next((source for source in own if source in others), None)
    if common is None:
        raise ValueError(
            f"cannot find its offset: '{first}' and '{second}' do not come from one blob by layers that keep "
            "a picture a picture; write a layer of type Crop with crop_param { offset: ... }"
        )
    offsets = []
    for a, b in zip(own[common], others[common], strict=True):
        offset = a.shift - b.shift
        if a.scale != b.scale or offset.denominator > 2 or offset < 0:
            raise ValueError(
                f"cannot make '{first}' fit '{second}': one lies at {float(a.scale):g} x + "
                f"{float(a.shift):g} of '{common[1]}', the other at {float(b.scale):g} x + {float(b.shift):g}"
            )
        offsets.append(int(offset + Fraction(1, 2)))
    return offsets


Source = tuple[int, str]  # the layer that makes a blob, -1 if it has no bottoms, and the blob's name


def _sources(layers: Sequence[caffe_pb2.LayerParameter]) -> dict[str, dict[Source, Lines]]:
    """Of each blob, the blobs that it comes from, itself first, and the maps from there to it."""
    sources: dict[str, dict[Source, Lines]] = {}
    for i, layer in enumerate(layers):
        known = _lines(layer)
        along_h, along_w = known or (IDENTITY, IDENTITY)
        found: dict[Source, Lines] = {}
        for bottom in layer.bottom if known else ():
            for source, (h, w) in (sources.get(bottom) or _itself(bottom)).items():
                found.setdefault(source, (along_h.after(h), along_w.after(w)))
            if layer.type not in _SAME_PLACES:
                break  # of others, the second bottom says nothing of where the first one's pixels are
        for top in layer.top:
            sources[top] = {**_itself(top, i if layer.bottom else -1), **found}
    return sources


def _itself(blob: str, layer: int = -1) -> dict[Source, Lines]:
    """The sources of a blob that comes from no other."""
    return {(layer, blob): (IDENTITY, IDENTITY)}


def _lines(layer: caffe_pb2.LayerParameter) -> Lines | None:
    """The maps from a layer's bottom to its top; None if there are none, or none are known."""
    if layer.type in _SAME_PLACES:
        return IDENTITY, IDENTITY
    if layer.type in ("Convolution", "Deconvolution", "Im2col"):
        return _windows(layer.convolution_param, layer.type == "Deconvolution")
    if layer.type == "Pooling":
        return _windows(layer.pooling_param, False)
    if layer.type == "Crop":
        offsets = list(layer.crop_param.offset) or [0]
        h, w = (offsets * 2)[:2] if len(offsets) == 1 else offsets[-2:]
        return Line(Fraction(1), Fraction(-h)), Line(Fraction(1), Fraction(-w))
    return None


def _windows(
    param: caffe_pb2.ConvolutionParameter | caffe_pb2.PoolingParameter, is_transposed: bool
) -> Lines:
    """The maps of a layer that slides a kernel over its bottom, or over its top."""

    def size(name: str, square: str, axis: int, default: int) -> int:
        """Of a size given by one field, once or for each axis, or by two, that along an axis."""
        if param.HasField(f"{name}_{'hw'[axis]}"):
            return int(getattr(param, f"{name}_{'hw'[axis]}"))
        given = getattr(param, square, default)
        if isinstance(given, int):
            return given if param.HasField(square) else default
        return int(list(given)[min(axis, len(given) - 1)]) if len(given) else default

    lines = []
    for axis in range(2):
        kernel, stride, pad = (
            size("kernel", "kernel_size", axis, 1), size("stride", "stride", axis, 1),
            size("pad", "pad", axis, 0),
        )  # fmt: skip
        dilation = 1
        if isinstance(param, caffe_pb2.ConvolutionParameter) and len(param.dilation):
            dilation = param.dilation[min(axis, len(param.dilation) - 1)]
        middle = Fraction((kernel - 1) * dilation, 2) - pad
        if is_transposed:
            lines.append(Line(Fraction(stride), middle))
        else:
            lines.append(Line(Fraction(1, max(stride, 1)), -middle / max(stride, 1)))
    return lines[0], lines[1]

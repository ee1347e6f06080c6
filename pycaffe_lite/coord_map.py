"""Where a pixel of one blob of a NetSpec lies in another: which Crop layer makes them fit; pycaffe's module.

A map (axis, scale, shift) says that pixel x of a layer's input lies at scale · x + shift in its output: a
convolution of stride 2 has scale 1/2. Scale and shift are numbers, or arrays of one number for each of the
axes behind `axis`, or of one for all. Axis None fits every other.

Source: BVLC/caffe python/caffe/coord_map.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.net_spec import Function, Top, layers

__all__ = [
    "PASS_THROUGH_LAYERS",
    "AxisMismatchException",
    "UndefinedMapException",
    "compose",
    "conv_params",
    "coord_map",
    "coord_map_from_to",
    "crop",
    "crop_params",
    "inverse",
]

Numbers = npt.NDArray[Any]
Map = tuple[int | None, Any, Any]

# Types that leave every pixel where it is.
PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
]


class UndefinedMapException(Exception):  # noqa: N818 (pycaffe's name)
    """A layer of which no map is known."""


class AxisMismatchException(Exception):  # noqa: N818 (pycaffe's name)
    """Two maps of different axes, which cannot follow each other."""


def conv_params(fn: Function) -> tuple[int, Numbers, Numbers, Numbers]:
    """Of a layer that slides a kernel: axis, stride, kernel size with its dilation, and padding.

    Raises:
        KeyError: it has no kernel_size. AssertionError: it has other strides or paddings by kernel_h and the
            like, which pycaffe does not know here either.
    """
    params = fn.params.get("convolution_param") or fn.params.get("pooling_param") or fn.params
    axis = params.get("axis", 1)
    if "kernel_size" not in params:
        raise KeyError(f"kernel_size, which is not among the parameters of this {fn.type_name} layer")
    size = np.array(params["kernel_size"], ndmin=1)
    dilation = np.array(params.get("dilation", 1), ndmin=1)
    legacy = {f"{name}_{side}" for name in ("pad", "kernel", "stride") for side in "hw"} & set(params)
    if legacy:
        raise AssertionError(f"maps are for kernel_size, stride and pad, not for {', '.join(sorted(legacy))}")
    stride = np.array(params.get("stride", 1), ndmin=1)
    pad = np.array(params.get("pad", 0), ndmin=1)
    return axis, stride, (size - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, Numbers]:
    """Of a Crop layer: axis and offset."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """The map of one layer.

    Raises:
        UndefinedMapException: its type has none, or is not known.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, size, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (size - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, size, pad = conv_params(fn)
        return axis, stride, (size - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return None, 1, 0
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # -1: counted as for convolutions, where the axis is that of channels
    raise UndefinedMapException(f"no map of coordinates is known of layer type {fn.type_name}")


def compose(base_map: Map, next_map: Map) -> Map:
    """The map that goes through `next_map` and then `base_map`.

    Raises:
        AxisMismatchException: they are of different axes.
    """
    (axis1, scale1, shift1), (axis2, scale2, shift2) = base_map, next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException(f"a map from axis {axis1} on cannot follow one from axis {axis2} on")
    return axis2 if axis1 is None else axis1, scale1 * scale2, scale1 * shift2 + shift1


def inverse(coord_map: Map) -> Map:
    """The map the other way round."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map between two tops that have an ancestor in common, one of the two perhaps.

    Raises:
        RuntimeError: they are not connected by layers of known maps.
        AxisMismatchException: they are, by maps of different axes.
    """
    maps = dict(_ancestors(top_from))
    for top, to_here in _ancestors(top_to):
        if top in maps:
            return compose(to_here, inverse(maps[top]))
    raise RuntimeError(
        "no map is known between these tops: they are not connected by layers that keep a picture a picture"
    )


def _ancestors(top: Top) -> Iterator[tuple[Top, Map]]:
    """A top and all that it is made of, as far as there are maps, each with the map to it from the top."""
    seen = {top}
    waiting: deque[tuple[Top, Map]] = deque([(top, (None, 1, 0))])
    while waiting:
        here, to_here = waiting.popleft()
        yield here, to_here
        # Of Crop, only the first input is a picture of the output; the second gives its size.
        for below in here.fn.inputs[:1] if here.fn.type_name == "Crop" else here.fn.inputs:
            try:
                to_below = compose(to_here, coord_map(here.fn))
            except UndefinedMapException:
                break
            if below not in seen:
                seen.add(below)
                waiting.append((below, to_below))


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts one top to the size of another, at the place where both show the same.

    Raises:
        AssertionError: there is none: the scales differ, or it would begin outside or between pixels.
        RuntimeError: no map is known between the tops.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.atleast_1d(scale), np.atleast_1d(shift)
    for is_so, what in (
        ((scale == 1).all(), f"the scales differ, one pixel becomes {scale}"),
        ((shift <= 0).all(), f"it would begin outside, at {-shift}"),
        ((np.round(shift) == shift).all(), f"it would begin between pixels, at {-shift}"),
    ):
        if not is_so:
            raise AssertionError(f"no crop makes these tops fit: {what}")
    offset = [-int(n) for n in np.round(shift)]
    cropped: Top = layers.Crop(
        top_from, top_to, crop_param={"axis": 2 if axis is None else axis + 1, "offset": offset}
    )
    return cropped

"""The window of convolutions: kernel, stride, padding and dilation along each spatial axis."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from pycaffe_lite.blob import MAX_COUNT
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2

Sizes = tuple[int, ...]

# Fields of convolutions over any axes, video-caffe's NdConvolution.
OF_ND = ("kernel_shape", "pad_shape", "stride_shape")
# Fields of the V1 layers of C3D 1.0, which became Convolution3D and Pooling3D.
OF_C3D_CONVOLUTION = ("kernel_depth", "temporal_stride", "temporal_pad", "filter_group")
OF_C3D_POOLING = ("kernel_depth", "temporal_stride")
LITTLE = 1024  # padding below this is never refused


class SpatialWindow(NamedTuple):
    """A convolution's window: its sizes along the spatial axes, one number for each axis."""

    kernel: Sizes
    stride: Sizes
    pad: Sizes
    dilation: Sizes

    def __str__(self) -> str:
        """`kernel 5x5, stride 1x1, pad 0x0, dilation 1x1`."""
        return ", ".join(f"{name} {'x'.join(map(str, sizes))}" for name, sizes in self._asdict().items())

    def reach(self) -> Sizes:
        """The length from the first to the last value under the kernel: dilation (kernel - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def output(self, image: Sizes) -> Sizes:
        """The sizes of a convolution's result: (size + 2 pad - reach) / stride + 1, rounded towards 0."""
        return tuple(
            int((size + 2 * p - r) / s) + 1
            for size, p, r, s in zip(image, self.pad, self.reach(), self.stride, strict=True)
        )

    def transposed_output(self, image: Sizes) -> Sizes:
        """The sizes of a deconvolution's result: stride (size - 1) + reach - 2 pad."""
        return tuple(
            s * (size - 1) + r - 2 * p
            for size, p, r, s in zip(image, self.pad, self.reach(), self.stride, strict=True)
        )


def check_padding(layer: Layer[Any], channels: int, image: Sizes, pad: Sizes) -> None:
    """Refuses padding that would give an image more values than a blob may have, which no net needs.

    Args:
        layer: the layer that an error names.
        channels: the image's channels. image: its spatial sizes. pad: the padding on either side of each.

    Raises:
        LayerError: the padded image would have too many values.
    """
    if max(pad, default=0) < LITTLE:
        return
    own, padded = math.prod(image), math.prod(n + 2 * p for n, p in zip(image, pad, strict=True))
    if channels * padded > max(MAX_COUNT, 4 * channels * own):  # an image may be as large by itself
        raise layer.error(
            f"pad {'x'.join(map(str, pad))} is too large for planes of {'x'.join(map(str, image))}: "
            f"padded, they would hold {channels * padded} values, more than {MAX_COUNT}"
        )


def spatial_window(layer: Layer[Any], param: caffe_pb2.ConvolutionParameter, axes: int) -> SpatialWindow:
    """Reads the window for a number of spatial axes.

    A size is given once for all axes or once for each of them; if there are two, also as `_h` and `_w` (the
    dilation in TSN's fork). DeepLab's `hole` is another name of the dilation.

    Raises:
        LayerError: a size given in any other way, or a kernel, stride or dilation of 0.
    """
    note_without_effect(layer, *OF_ND, because="only layers of type NdConvolution read them")
    refuse_fields(layer, *OF_C3D_CONVOLUTION)
    window = SpatialWindow(
        kernel=_sizes(layer, param, "kernel_size", "kernel", axes, None),
        stride=_sizes(layer, param, "stride", "stride", axes, 1),
        pad=_sizes(layer, param, "pad", "pad", axes, 0),
        dilation=_sizes(layer, param, *_dilation_names(param), axes, 1),
    )
    for name in ("kernel", "stride", "dilation"):
        if 0 in getattr(window, name):
            raise layer.error(f"needs a {name} of at least 1 along every spatial axis, got {window}")
    return window


def _dilation_names(param: caffe_pb2.ConvolutionParameter) -> tuple[str, str]:
    """The field that gives the dilation, and what the names of the fields for height and width begin with."""
    given = param.dilation or param.HasField("dilation_h") or param.HasField("dilation_w")
    holes = param.hole or param.HasField("hole_h") or param.HasField("hole_w")
    return ("hole", "hole") if holes and not given else ("dilation", "dilation")


def _sizes(
    layer: Layer[Any],
    param: caffe_pb2.ConvolutionParameter,
    field: str,
    prefix: str,
    axes: int,
    default: int | None,
) -> Sizes:
    values, pair = list(getattr(param, field)), (f"{prefix}_h", f"{prefix}_w")
    if not any(param.HasField(name) for name in pair):
        return _repeated(layer, field, values, axes, default)
    if values:
        raise layer.error(f"needs {field} or {pair[0]} and {pair[1]}, got both")
    if axes != 2:
        raise layer.error(f"takes {pair[0]} and {pair[1]} with 2 spatial axes only, got {axes}; use {field}")
    return tuple(getattr(param, name) for name in pair)


def _repeated(layer: Layer[Any], field: str, values: list[int], axes: int, default: int | None) -> Sizes:
    if not values and default is not None:
        values = [default]
    if not axes:
        return ()
    if len(values) not in (1, axes):
        raise layer.error(
            f"needs {field} once or once for each of its {axes} spatial axes, got it {len(values)} times"
        )
    return tuple(values) if len(values) == axes else tuple(values) * axes

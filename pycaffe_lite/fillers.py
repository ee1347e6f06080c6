"""Fillers, which give learnable blobs their first values as a prototxt's FillerParameter says."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import NetError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import Floats, RandomStream

log = logging.getLogger(__name__)

Shape = tuple[int, ...]
Filler = Callable[[Shape, caffe_pb2.FillerParameter, RandomStream], Floats]


def fill(blob: Blob, filler: caffe_pb2.FillerParameter, stream: RandomStream | None = None) -> None:
    """Fills `blob.data`. The values are float32; a float64 blob holds the same numbers.

    Settings of another type have no effect, as in Caffe; the log says so.

    Args:
        blob: a blob of at least one value.
        filler: the filler's type and settings.
        stream: the random stream to draw from; None for the main stream.

    Raises:
        NetError: the type is unknown, or cannot work with the blob or the settings.

    Source: BVLC/caffe include/caffe/filler.hpp
    """
    function = _FILLERS.get(filler.type)
    if function is None:
        raise NetError(f"unknown filler type '{filler.type}' (known types: {', '.join(filler_types())})")
    if not blob.count:
        raise NetError(f"filler '{filler.type}' needs a blob with values, got shape {blob.shape}")
    if filler.sparse != -1 and filler.type != "gaussian":
        raise NetError(f"filler '{filler.type}' cannot be sparse: only 'gaussian' takes the field 'sparse'")
    for field, _ in filler.ListFields():
        if field.name not in ("type", *_READ.get(filler.type, ())):
            log.info("filler '%s' has no use for '%s'", filler.type, field.name)
    _check_memory(blob)
    if filler.type == "constant" and not filler.value and blob.is_untouched:
        return
    values = function(blob.shape, filler, stream or random.stream())
    blob.data[...] = values.reshape(blob.shape)


def _check_memory(blob: Blob) -> None:
    """Refuses to write to more memory than there is, for which the system would end the process silently.

    Raises:
        NetError: the values alone, drawn and stored, take more memory.
    """
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return
    needed = 2 * blob.count * blob.dtype.itemsize
    if needed > available > 0:
        raise NetError(
            f"a blob of shape {blob.shape} takes {needed / 1e9:.1f} GB to fill, of {available / 1e9:.1f} GB "
            "that this machine has"
        )


def filler_types() -> list[str]:
    """The known filler types, in alphabetical order."""
    return sorted(_FILLERS)


def _constant(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Gives every value as `value`."""
    return np.full(shape, filler.value, np.float32)


def _uniform(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Draws from U[min, max]."""
    return _draw_uniform("uniform", _count(shape), filler.min, filler.max, stream)


def _gaussian(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Draws from N(mean, std²); `sparse` keeps so many values of a row on average and makes the rest ±0."""
    if not filler.std > 0:
        raise NetError(f"filler 'gaussian' needs std > 0, got {filler.std:g}")
    if filler.sparse == -1:
        return stream.normal(_count(shape), filler.mean, filler.std)
    rows = _rows("gaussian", shape)
    if not 0 <= filler.sparse <= rows:
        raise NetError(
            f"filler 'gaussian' needs sparse between 0 and {rows}, the first axis of shape {shape}, "
            f"got {filler.sparse}"
        )
    values = stream.normal(_count(shape), filler.mean, filler.std)
    values *= stream.bernoulli(values.size, np.float32(filler.sparse) / np.float32(rows), np.float32)
    return values


def _positive_unitball(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Draws from U[0, 1] and divides each row (one index of the first axis) by its sum."""
    values = _draw_uniform("positive_unitball", _count(shape), 0, 1, stream)
    rows = values.reshape(shape[0] if shape else 1, -1)
    # A running sum adds from left to right, as Caffe does; np.sum adds in pairs, with other roundings.
    rows /= rows.cumsum(axis=1, dtype=np.float32)[:, -1:]
    return values


def _xavier(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Draws from U[−a, a] with a = √(3/n), n by `variance_norm`; Glorot and Bengio, 2010."""
    bound = np.sqrt(np.float32(3) / np.float32(_fan("xavier", shape, filler.variance_norm)))
    return _draw_uniform("xavier", _count(shape), -bound, bound, stream)


def _msra(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Draws from N(0, 2/n), n by `variance_norm`; He, Zhang, Ren and Sun, 2015."""
    std = np.sqrt(np.float32(2) / np.float32(_fan("msra", shape, filler.variance_norm)))
    std *= np.float32(filler.scale)  # Intel's; 1 in Caffe
    return stream.normal(_count(shape), 0, std)


def _bilinear(shape: Shape, filler: caffe_pb2.FillerParameter, stream: RandomStream) -> Floats:
    """Gives (1 − |x/f − c|)(1 − |y/f − c|), f = ⌈K/2⌉, c = (K − 1)/(2f): Deconvolution upsamples by f."""
    if len(shape) != 4 or shape[2] != shape[3]:
        raise NetError(f"filler 'bilinear' needs 4 axes and a square kernel, got shape {shape}")
    K = shape[3]
    f = (K + 1) // 2
    c = np.float32((K - 1) / (2.0 * f))
    line = np.float32(1) - np.abs(np.arange(K, dtype=np.float32) / np.float32(f) - c)
    return np.broadcast_to(line * line[:, None], shape)


_FILLERS: dict[str, Filler] = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}
# The settings that each type reads.
_READ = {
    "constant": ("value",),
    "gaussian": ("mean", "std", "sparse"),
    "msra": ("variance_norm", "scale"),
    "uniform": ("min", "max"),
    "xavier": ("variance_norm",),
}


def _count(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _rows(name: str, shape: Shape) -> int:
    if not shape:
        raise NetError(f"filler '{name}' needs a blob of at least one axis, got shape ()")
    return shape[0]


def _fan(name: str, shape: Shape, norm: int) -> float:
    """The number of weights of an output (fan in), that of an input (fan out), or the mean of both."""
    fan_in = _count(shape) // _rows(name, shape)
    fan_out = _count(shape) // (shape[1] if len(shape) > 1 else 1)
    if norm == caffe_pb2.FillerParameter.FAN_OUT:
        return fan_out
    if norm == caffe_pb2.FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_in


def _draw_uniform(
    name: str, count: int, low: float | np.float32, high: float | np.float32, stream: RandomStream
) -> npt.NDArray[np.float32]:
    try:
        return stream.uniform(count, float(low), float(high))
    except ValueError:
        raise NetError(f"filler '{name}' needs finite min <= max, got {low:g} and {high:g}") from None

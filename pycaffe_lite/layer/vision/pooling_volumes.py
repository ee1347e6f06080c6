"""Pooling3D and NdPooling: maxima or means of windows of films."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import pooling_3d
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.spatial import OF_C3D_POOLING
from pycaffe_lite.layer.vision.volumes import VolumePoolingLayer, outputs, sizes_of
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2

# Fields of Pooling that NdPooling does not read.
NOT_ND = (
    "pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w",
    "round_mode",
)  # fmt: skip


@register_layer("Pooling3D", param="pooling3d_param", origin="C3D")
class Pooling3DLayer(VolumePoolingLayer[caffe_pb2.Pooling3DParameter]):
    """Maxima or means of windows over time, height and width.

    A window is `kernel_depth` frames long and `kernel_size` wide and high; `temporal_stride` is that in time,
    where there is no padding. MAX: dy goes to every x that equals the maximum, as in the fork. AVE: the mean
    over the window's part up to the padding's end.

    Bottom: x, (N, C, L, H, W). Top: y, (N, C, L', H', W'), each (size + 2 pad - kernel) / stride + 1, rounded
    up; a last window may begin beyond x, where a maximum is the lowest float32. Raises LayerError for sizes
    that are missing or 0, or yield no output, `pad` with MAX, STOCHASTIC, and in place.
    Source: facebookarchive/C3D C3D-v1.1/src/caffe/layers/pooling3d_layer.cpp
    """

    whole = False

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        p = self.param
        self.check_pool(p.pool)
        if self.is_max and p.pad:
            raise self.error(f"takes pad with pool AVE only, got {p.pad}")
        if p.pad and p.pad >= p.kernel_size:
            raise self.error(f"needs pad below kernel_size {p.kernel_size}, got {p.pad}")
        sizes = {
            name: getattr(p, name) for name in ("kernel_depth", "kernel_size", "temporal_stride", "stride")
        }
        if min(sizes.values()) < 1:
            raise self.error(f"needs sizes of 1 or more, got {sizes}")
        self.window = np.array(
            [
                (p.kernel_depth, p.kernel_size, p.kernel_size),
                (0, p.pad, p.pad),
                (p.temporal_stride, p.stride, p.stride),
            ]
        )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 5:
            raise self.error(f"needs a bottom of 5 axes, got shape {shape}")
        self.shape_top(
            bottom,
            top,
            tuple(outputs(size, *map(int, own)) for size, own in zip(shape[2:], self.window.T, strict=True)),
        )

    def max_backward(self, bottom: Blobs, top: Blobs, dy: Array, dx: Array) -> None:
        x, y = self.volumes(bottom[0].data), self.volumes(top[0].data)
        pooling_3d.equal_backward(x, y, dy, self.window, dx)


@register_layer("NdPooling", param="pooling_param", origin="video-caffe")
class NdPoolingLayer(VolumePoolingLayer[caffe_pb2.PoolingParameter]):
    """Maxima or means of windows over all axes from 2 on, three at most.

    `kernel_shape`, `pad_shape` (0) and `stride_shape` (1) have a size for each axis; with global_pooling the
    kernel is the whole image, but kernel_shape has to be given all the same, as in the fork. MAX: dy goes to
    the first of the largest values. AVE: the mean of the whole window, with zeros outside of x.

    Bottom: x, (N, C, *image). Top: y, (N, C, *output), each axis (size + 2 pad - kernel) / stride + 1,
    rounded up; with padding a last window that would begin beyond size + pad is left out. Raises LayerError
    for sizes that are missing or 0, or yield no output, STOCHASTIC, and in place.
    Source: chuckcho/video-caffe src/caffe/layers/cudnn_ndpooling_layer.cu
    """

    whole = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        note_engine(self)
        refuse_fields(self, "ceil_mode", "avg_include_pad", *OF_C3D_POOLING)
        self.check_pool(self.param.pool)
        self.spatial = len(bottom[0].shape) - 2
        if not 1 <= self.spatial <= 3:
            raise self.error(f"needs a bottom of 3 to 5 axes, got shape {bottom[0].shape}")
        self.sizes = sizes_of(self, self.param, self.spatial)
        note_without_effect(self, *NOT_ND, because="NdPooling reads kernel_shape, pad_shape and stride_shape")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != self.spatial + 2:
            raise self.error(f"needs a bottom of {self.spatial + 2} axes, got shape {shape}")
        kernel, pad, stride = self.sizes
        if self.param.global_pooling:
            kernel = shape[2:]
        found = []
        for size, k, p, s in zip(shape[2:], kernel, pad, stride, strict=True):
            count = outputs(size, k, p, s)
            found.append(count - (p > 0 and (count - 1) * s >= size + p))
        rest = 3 - self.spatial
        self.window = np.array(
            [(n,) * rest + own for n, own in zip((1, 0, 1), (kernel, pad, stride), strict=True)]
        )
        self.shape_top(bottom, top, tuple(found))

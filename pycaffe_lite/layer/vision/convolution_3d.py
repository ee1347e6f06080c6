"""Convolution3D: C3D's convolution of films."""

from __future__ import annotations

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.spatial import SpatialWindow
from pycaffe_lite.layer.vision.volumes import VolumeConvolutionLayer
from pycaffe_lite.layer.without_effect import note_without_effect
from pycaffe_lite.proto import caffe_pb2


@register_layer("Convolution3D", param="convolution3d_param", origin="C3D")
class Convolution3DLayer(VolumeConvolutionLayer[caffe_pb2.Convolution3DParameter]):
    """Cross-correlation over time, height and width with learnt kernels, as Convolution's over two axes.

    The kernel is `kernel_depth` frames long and `kernel_size` wide and high; `temporal_stride` and
    `temporal_pad` are those in time. `group` has no effect, and `filter_group` none on the result, as in the
    fork. (Its backward passes overwrite gradients of weights that iter_size or sharing add up; here they are
    added.)

    Bottom: x, (N, C, L, H, W). Top: y, (N, num_output, L', H', W'), each (size + 2 pad - kernel) / stride +
    1, rounded down. Blobs: w, (num_output, C, kernel_depth, kernel_size, kernel_size); b, (1, 1, 1, 1,
    num_output), unless bias_term is false. Raises LayerError for sizes that are missing or 0, or yield no
    output, num_output that is no multiple of filter_group, another C than at setup, and in place.
    Paper: Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", 2015 (arXiv
    1412.0767).
    Source: facebookarchive/C3D C3D-v1.1/src/caffe/layers/convolution3d_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.filter_group < 1 or p.num_output % p.filter_group:
            raise self.error(
                f"needs num_output {p.num_output} to be a multiple of filter_group {p.filter_group}"
            )
        note_without_effect(self, "group")
        window = SpatialWindow(
            kernel=(p.kernel_depth, p.kernel_size, p.kernel_size),
            stride=(p.temporal_stride, p.stride, p.stride),
            pad=(p.temporal_pad, p.pad, p.pad),
            dilation=(1, 1, 1),
        )
        self.set_up_window(bottom, top, p.num_output, 1, window)
        self.weight = self.add_blob((p.num_output, self.channels, *window.kernel), p.weight_filler)
        self.bias = self.add_blob((1, 1, 1, 1, p.num_output), p.bias_filler) if p.bias_term else None

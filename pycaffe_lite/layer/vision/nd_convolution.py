"""NdConvolution: video-caffe's convolution over any number of axes."""

from __future__ import annotations

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.spatial import OF_C3D_CONVOLUTION, Sizes, SpatialWindow
from pycaffe_lite.layer.vision.volumes import VolumeConvolutionLayer, sizes_of
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2

# Fields of Convolution that NdConvolution does not read.
NOT_ND = (
    "pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w",
    "dilation", "axis", "force_nd_im2col",
)  # fmt: skip
# Fields that other forks gave to Convolution.
OF_OTHERS = ("relu", "negative_slope", "dilation_h", "dilation_w", "hole", "hole_h", "hole_w")


@register_layer("NdConvolution", param="convolution_param", origin="video-caffe")
class NdConvolutionLayer(VolumeConvolutionLayer[caffe_pb2.ConvolutionParameter]):
    """Cross-correlation with learnt kernels over all axes from 2 on, as Convolution's; no dilation.

    `kernel_shape`, `pad_shape` (0) and `stride_shape` (1) have a size for each axis.

    Bottom: x, (N, C, *image). Top: y, (N, num_output, *output), each axis (size + 2 pad - kernel) / stride +
    1, rounded down; axes of length 1 are left out, as in the fork. Blobs: w, (num_output, C / group,
    *kernel); b, (num_output,), unless bias_term is false. Raises LayerError for sizes that are missing or 0,
    or yield no output, a group that does not divide, another C than at setup, and in place.
    Source: chuckcho/video-caffe src/caffe/layers/cudnn_ndconv_layer.cu
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        note_engine(self)
        refuse_fields(self, *OF_OTHERS, *OF_C3D_CONVOLUTION)
        note_without_effect(
            self, *NOT_ND, because="NdConvolution reads kernel_shape, pad_shape and stride_shape"
        )
        kernel, pad, stride = sizes_of(self, p, max(len(bottom[0].shape) - 2, 1))
        window = SpatialWindow(kernel=kernel, stride=stride, pad=pad, dilation=(1,) * len(kernel))
        self.set_up_window(bottom, top, p.num_output, p.group, window)
        self.weight = self.add_blob((p.num_output, self.channels // p.group, *kernel), p.weight_filler)
        self.bias = self.add_blob((p.num_output,), p.bias_filler) if p.bias_term else None

    def top_shape(self, sizes: Sizes) -> Sizes:
        return self.outputs, *(size for size in sizes if size > 1)

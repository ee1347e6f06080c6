"""DepthwiseConvolution and ConvolutionDepthwise: convolutions with a group for each channel."""

from __future__ import annotations

from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.convolution import ConvolutionLayer
from pycaffe_lite.proto import caffe_pb2


@register_layer("DepthwiseConvolution", param="convolution_param", origin="MobileNet")
class DepthwiseConvolutionLayer(ConvolutionLayer):
    """Convolution under another name: its nets give as many groups as there are channels.

    Source: yonghenglh6/DepthwiseConvolution depthwise_conv_layer.cpp
    """


@register_layer("ConvolutionDepthwise", param="convolution_param", origin="Tiny-DSOD")
class ConvolutionDepthwiseLayer(ConvolutionLayer):
    """Convolution with one kernel for each channel, whatever `num_output` and `group` say.

    Blobs: w, (C, 1, *kernel); b, (C,). Top: as many channels as the bottom.
    Source: lyxok1/Tiny-DSOD src/caffe/layers/conv_dw_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        channels = bottom[0].shape[bottom[0].canonical_axis(self.param.axis)]
        param = caffe_pb2.ConvolutionParameter()
        param.CopyFrom(self.param)
        param.num_output = param.group = channels
        self.param = param
        super().setup(bottom, top)

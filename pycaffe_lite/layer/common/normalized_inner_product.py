"""InnerProduct with `normalize: true`, of happynear's and OpenVINO's forks: rows of weights of length 1."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


def _normalizes(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.inner_product_param.normalize


@register_layer(
    "InnerProduct", param="inner_product_param", origin="happynear's Caffe and OpenVINO", applies=_normalizes
)
class NormalizedInnerProductLayer(InnerProductLayer):
    """Affine map y = x wᵀ + b, as Caffe's InnerProduct, with rows of w of length 1.

    Each forward pass divides the rows of w, in place, by sqrt(Σ w² + 1e-6). The gradients are those of the
    map, as in the forks: dw is not led through the division.

    Raises LayerError for `transpose`, whose rows the forks take where the columns are meant.
    Source: happynear/caffe-windows src/caffe/layers/inner_product_layer.cpp;
    openvinotoolkit/training_toolbox_caffe caffe/src/caffe/layers/inner_product_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        if self.param.transpose:
            raise self.error("takes either normalize or transpose: the forks normalise the wrong numbers")

    def _normalize(self) -> None:
        w = self.weight.data
        w /= np.sqrt(np.square(w, dtype=np.float64).sum(axis=1, keepdims=True) + 1e-6)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._normalize()
        super().forward(bottom, top)

    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        self._normalize()
        super().forward_with_epilogue(bottom, top, epilogue)

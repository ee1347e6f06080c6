"""InnerProduct: fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import inner_product
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import TakesEpilogue, fills_tops
from pycaffe_lite.layer.rectifier import Rectifier
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2


@register_layer("InnerProduct", param="inner_product_param")
class InnerProductLayer(Layer[caffe_pb2.InnerProductParameter], TakesEpilogue):
    """Affine map of everything from `axis` on: y = x wᵀ + b; with `transpose`, y = x w + b.

    dx = dy w, dw = dyᵀ x, db = Σ_m dy_m over the rows m (dx = dy wᵀ and dw = xᵀ dy with `transpose`). With
    Intel's `relu: true`, negative y are then multiplied by `negative_slope`, and so are their gradients.

    Bottom: x, (N, C, H, W) read as (M, K); for axis 1, M = N and K = C H W. K stays as it was at setup.
    Top: y, of the axes of x before `axis` and num_output. Blobs: w, (num_output, K), or (K, num_output) with
    `transpose`; b, (num_output,), unless bias_term is false.
    Raises LayerError for num_output 0, for another K, and in place.
    Source: BVLC/caffe src/caffe/layers/inner_product_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.num_output < 1:
            raise self.error(f"needs num_output of at least 1, got {p.num_output}")
        if top[0] is bottom[0]:
            raise self.error("cannot work in place")
        self.axis = bottom[0].canonical_axis(p.axis)
        self.K = bottom[0].count_axes(self.axis)
        shape = (self.K, p.num_output) if p.transpose else (p.num_output, self.K)
        self.weight = self.add_blob(shape, p.weight_filler)
        self.bias = self.add_blob((p.num_output,), p.bias_filler) if p.bias_term else None
        self.rectifier = Rectifier(self)

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0]
        axis = x.canonical_axis(self.param.axis)
        if x.count_axes(axis) != self.K:
            raise self.error(f"needs {self.K} values from axis {axis} on, got bottom shape {x.shape}")
        self.M = x.count_axes(0, axis)
        top[0].reshape((*x.shape[:axis], self.param.num_output))

    def _rows(self, array: Array, columns: int) -> Array:
        return array.reshape(self.M, columns)

    @fills_tops
    @by_kernels(when=lambda layer: not layer.param.transpose)
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x, y = self._rows(bottom[0].data, self.K), self._rows(top[0].data, self.param.num_output)
        bias = None if self.bias is None else self.bias.data
        inner_product.forward(x, self.weight.data, bias, y, self.param.transpose)
        self.rectifier.apply(y)

    @by_kernels(when=lambda layer: not layer.param.transpose, fills_clear_diffs=True)
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        transpose = self.param.transpose
        dy = self._rows(self.rectifier.diff_before(top[0]), self.param.num_output)
        if self.param_propagate_down[0]:
            x = self._rows(bottom[0].data, self.K)
            dw, holds_some = self.weight.diff_to_add()
            inner_product.backward_weights(x, dy, dw, transpose, accumulate=holds_some)
        if self.bias is not None and self.param_propagate_down[1]:
            db, holds_some = self.bias.diff_to_add()
            inner_product.backward_bias(dy, db, accumulate=holds_some)
        if propagate_down[0]:
            dx = self._rows(bottom[0].diff, self.K)
            inner_product.backward_data(dy, self.weight.data, dx, transpose)

    # -------------------------------- in one kernel with the layers behind it, see layer/fusing.py

    def takes_epilogue(self) -> bool:
        return self.axis == 1 and self.rectifier.slope is None

    @by_kernels(when=lambda layer: not layer.param.transpose)
    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        x, y = self._rows(bottom[0].data, self.K), self._rows(top[0].data, self.param.num_output)
        bias = None if self.bias is None else self.bias.data
        inner_product.forward(x, self.weight.data, bias, y, self.param.transpose, epilogue)

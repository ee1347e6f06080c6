"""Scale: a learnt or computed factor, repeated over the other axes, with an optional bias."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.layer.activation.broadcast import covered_shape, fold, lies_over_channels
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.fusing import IsEpilogue
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.replay import by_kernels, by_shapes
from pycaffe_lite.proto import caffe_pb2

ONE = caffe_pb2.FillerParameter(type="constant", value=1)


@register_layer("Scale", param="scale_param")
class ScaleLayer(Layer[caffe_pb2.ScaleParameter], IsEpilogue):
    """Product y = x s (+ b with `bias_term`), with s and b repeated over the axes that they lack.

    dx = dy s; ds = Σ dy x and db = Σ dy over those axes. Both are added to the blobs' diffs, except that, as
    in Caffe, ds overwrites its diff if s covers all of x, or if the axes of x before `axis` hold one position
    in all and s has more than one number. The gradient of a second bottom is always overwritten.

    Bottom: x, any shape; optionally s, whose axes have the lengths of x's axes from `axis` on.
    Top: y, the shape of x; may be the same blob. Blobs: with one bottom, s, of the shape of the `num_axes`
    axes of x from `axis` on (-1: all that follow; 0: a single number), filled with 1 unless a filler is
    given; with `bias_term`, b, the shape of s.
    Raises LayerError for an axis or axes that x lacks, and for an s that does not fit.
    Source: BVLC/caffe src/caffe/layers/scale_layer.cpp
    """

    min_bottoms = 1
    max_bottoms = 2
    exact_tops = 1
    completes_batch_norm = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if len(bottom) == 1:
            shape = covered_shape(self, bottom[0], p.axis, p.num_axes)
            self.add_blob(shape, p.filler if p.HasField("filler") else ONE)
        self.bias: Blob | None = None
        if p.bias_term:
            axes = len(bottom[1].shape) if len(bottom) > 1 else p.num_axes
            self.bias = self.add_blob(covered_shape(self, bottom[0], p.axis, axes), p.bias_filler)
        self.kept = self.add_buffer()

    @by_shapes
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.fold = fold(self, bottom[0], self._scale(bottom), self.param.axis)
        top[0].reshape_like(bottom[0])
        self.kept.reshape_like(bottom[0])

    def _scale(self, bottom: Blobs) -> Blob:
        return bottom[1] if len(bottom) > 1 else self.blobs[0]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].data
        if top[0] is bottom[0] and self.need_backward:
            self.kept.data[...] = x
        bias = None if self.bias is None else self.bias.data
        self.fold.affine(x, self._scale(bottom).data, bias, top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        dy = top[0].diff
        learnt = len(bottom) == 1
        scale = self._scale(bottom)
        wants_bias = self.bias is not None and self.param_propagate_down[-1]
        wants_scale = self.param_propagate_down[0] if learnt else propagate_down[1]
        if wants_bias or wants_scale:
            x: Array = (self.kept if top[0] is bottom[0] else bottom[0]).data
            sum_dy, sum_dy_x = self.fold.sums(dy, x if wants_scale else None)
            if wants_bias and self.bias is not None:
                self.bias.diff[...] += sum_dy.reshape(self.bias.shape)
            if sum_dy_x is not None:
                adds = learnt and not self._overwrites()
                scale.diff[...] = sum_dy_x.reshape(scale.shape) + (scale.diff if adds else 0)
        if propagate_down[0]:
            self.fold.affine(dy, scale.data, None, bottom[0].diff)

    def _overwrites(self) -> bool:
        return self.fold.is_elementwise or (self.fold.outer == 1 and self.fold.size > 1)

    # --------------------------------- in one kernel with the layer before it, see layer/fusing.py

    def can_be_epilogue(self, top: Blobs) -> bool:
        return lies_over_channels(self, top[0], self.param.axis)

    @by_kernels
    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        return epilogue.behind(self.blobs[0].data, None if self.bias is None else self.bias.data)

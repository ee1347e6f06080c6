"""SPP: spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import split
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.engine import note_engine
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.pooling import PoolingLayer
from pycaffe_lite.proto import caffe_pb2

SPPParameter = caffe_pb2.SPPParameter
PoolingParameter = caffe_pb2.PoolingParameter
POOL = {
    SPPParameter.MAX: PoolingParameter.MAX,
    SPPParameter.AVE: PoolingParameter.AVE,
    SPPParameter.STOCHASTIC: PoolingParameter.STOCHASTIC,
}


@register_layer("SPP", param="spp_param")
class SPPLayer(Layer[SPPParameter]):
    """Spatial pyramid pooling: turns planes of any size into a fixed number of values.

    Level l = 0, 1, ... pyramid_height - 1 pools with 2^l × 2^l windows next to each other. Their height is
    k = ⌈H / 2^l⌉, and the plane is padded by ⌊(k 2^l - H + 1) / 2⌋ above and below; the same holds for the
    width. The outputs of all levels stand one after another. dx is the sum of what Pooling gives for each.

    Bottom: x, (N, C, H, W). Top: y, (N, C Σ_l 4^l), or (N, C, 1, 1) if pyramid_height is 1.
    Raises LayerError for a pyramid_height of 0, for a bottom of other than 4 axes or of empty planes, for a
    plane that needs padding as large as the window (a height of 5 at level 2), and in place.
    Paper: He, Zhang, Ren, Sun, "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual
    Recognition", 2014 (arXiv 1406.4729).
    Source: BVLC/caffe src/caffe/layers/spp_layer.cpp
    """

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        note_engine(self)
        if self.param.pyramid_height < 1:
            raise self.error(f"needs a pyramid_height of at least 1, got {self.param.pyramid_height}")
        if top[0] is bottom[0]:
            raise self.error("cannot work in place")
        self.shape: tuple[int, ...] | None = None
        self.x = self.add_buffer()  # shares the bottom's data, and has a gradient of its own
        self.levels: list[PoolingLayer] = []
        self.pooled: list[Blob] = []

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        shape = bottom[0].shape
        if len(shape) != 4 or 0 in shape[2:]:
            raise self.error(f"needs a bottom of 4 axes with planes that are not empty, got shape {shape}")
        if shape != self.shape:
            self.x.reshape(shape)
            self.levels, self.pooled = [], []
            for i in range(self.param.pyramid_height):  # a plane that is too small ends it
                self.pooled.append(Blob(dtype=self.dtype))
                self.levels.append(self._level(i, shape))
            self.shape = shape
        self.x.share_data(bottom[0])
        self.edges = [0]  # of the levels' parts in the top
        for blob in self.pooled:
            self.edges.append(self.edges[-1] + blob.count_axes(1))
        top[0].reshape(self.pooled[0].shape if len(self.levels) == 1 else (shape[0], self.edges[-1]))

    def _level(self, level: int, shape: tuple[int, ...]) -> PoolingLayer:
        bins = 2**level
        param = caffe_pb2.LayerParameter(name=self.name, type=self.type, phase=self.layer_param.phase)
        pooling = param.pooling_param
        pooling.pool = POOL[self.param.pool]
        for axis, size in zip("hw", shape[2:], strict=True):
            kernel = -(-size // bins)
            setattr(pooling, f"kernel_{axis}", kernel)
            setattr(pooling, f"stride_{axis}", kernel)
            setattr(pooling, f"pad_{axis}", (kernel * bins - size + 1) // 2)
        layer = PoolingLayer(param, pooling, self.context)
        layer.set_up([self.x], [self.pooled[level]])
        return layer

    def _parts(self, whole: Array) -> Iterator[Array]:
        """Views the levels' parts of the top's data or diff."""
        rows = whole.reshape(whole.shape[0], self.edges[-1])
        for start, stop in zip(self.edges, self.edges[1:], strict=False):
            yield rows[:, start:stop]

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for layer, y, part in zip(self.levels, self.pooled, self._parts(top[0].data), strict=True):
            layer.forward([self.x], [y])
            part[...] = y.data.reshape(part.shape)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not propagate_down[0]:
            return
        dx = bottom[0].diff
        dx.fill(0)
        for layer, y, part in zip(self.levels, self.pooled, self._parts(top[0].diff), strict=True):
            y.diff[...] = part.reshape(y.shape)
            layer.backward([y], [True], [self.x])
            split.add(dx.ravel(), self.x.diff.ravel(), dx.ravel())

"""SpatialTransformer: pictures read through a learnt affine map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels import sampling
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

FIELDS = ("theta_1_1", "theta_1_2", "theta_1_3", "theta_2_1", "theta_2_2", "theta_2_3")


@register_layer("SpatialTransformer", param="st_param", origin="daerduoCarey's SpatialTransformerLayer")
class SpatialTransformerLayer(Layer[caffe_pb2.SpatialTransformerParameter]):
    """A picture read through an affine map: y[n, c, s, t] = x[n, c] at A[n] (s, t, 1), bilinear.

    s and t run over the height and width of y from -1 to before 1, and so do the rows and columns of x: a
    place r is row (r + 1) H / 2. What is outside of x counts as 0.

    Bottom: x, (N, C, H, W); theta, (N, ...), the numbers of A, (2, 3), row by row, that `theta_1_1` to
    `theta_2_3` do not give. Top: y, (N, C, output_H, output_W), or the size of x. With `to_compute_dU: false`
    x has no gradient.
    Raises LayerError for another number of thetas than there are to give, for other types of map or sampling,
    and in place.
    Paper: Jaderberg et al., "Spatial Transformer Networks", 2015 (arXiv 1506.02025).
    Source: daerduoCarey/SpatialTransformerLayer src/caffe/layers/st_layer.cpp and .cu
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 1 or self.param.to_compute_dU

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        for name, known in (("transform_type", "affine"), ("sampler_type", "bilinear")):
            if getattr(p, name) != known:
                raise self.error(f'needs {name} "{known}", got "{getattr(p, name)}"')
        self.free = [i for i, name in enumerate(FIELDS) if not p.HasField(name)]
        self.fixed = np.array([getattr(p, name) for name in FIELDS])

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, (x, theta) = self.param, bottom
        if len(x.shape) != 4:
            raise self.error(f"needs a picture of shape (N, C, H, W), got {x.shape}")
        if theta.shape[:1] != x.shape[:1] or theta.count_axes(1) != len(self.free):
            raise self.error(
                f"needs {len(self.free)} numbers of its map for each of {x.num} pictures, got {theta.shape}"
            )
        height = p.output_H if p.HasField("output_H") else x.height
        width = p.output_W if p.HasField("output_W") else x.width
        if min(height, width) < 1:
            raise self.error(f"needs output_H and output_W of 1 or more, got {height} and {width}")
        top[0].reshape(x.num, x.channels, height, width)

    def _theta(self, bottom: Blobs) -> Array:
        """The maps, (N, 6), in float64."""
        N = bottom[0].num
        theta = np.tile(self.fixed, (N, 1))
        theta[:, self.free] = bottom[1].data.reshape(N, -1)
        return theta

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        sampling.transform(bottom[0].data, self._theta(bottom), top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not any(propagate_down):
            return
        x, N = bottom[0], bottom[0].num
        if propagate_down[0] and not self.param.to_compute_dU:
            x.diff.fill(0)
        wants_dx = propagate_down[0] and self.param.to_compute_dU
        dx = x.diff if wants_dx else np.empty((0, 0, 0, 0), self.dtype)
        dtheta = np.empty((N, 6))
        sampling.transform_backward(x.data, self._theta(bottom), top[0].diff, dx, dtheta)
        if propagate_down[1]:
            bottom[1].diff.reshape(N, -1)[...] = dtheta[:, self.free]

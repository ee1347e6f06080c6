"""ROIPooling and PSROIPooling: a map of fixed size from each region of interest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.kernels import regions
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.detection.regions import check_regions, regions_of
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("ROIPooling", param="roi_pooling_param", origin="Fast R-CNN and Faster R-CNN")
class ROIPoolingLayer(Layer[caffe_pb2.ROIPoolingParameter]):
    """The maximum in each bin of a grid over each region: y[r, c, p, q] = max x[image, c, bin(p, q)].

    The region's corners times `spatial_scale` are rounded to places of x; its P x Q bins overlap by up to a
    place. An empty bin gives 0. dy goes to the first maximum of each bin. Cascade R-CNN's `pad_ratio` makes
    the region larger by that part of its sides at each end.

    Bottom: x, (N, C, H, W); regions, (R, 5): image, x1, y1, x2, y2 in the picture's pixels, the last
    included; they get no gradient. Top: y, (R, C, pooled_h, pooled_w). Raises LayerError for sizes of 0, and
    for a region of an image that there is not.
    Paper: Girshick, "Fast R-CNN", 2015 (arXiv 1504.08083).
    Source: rbgirshick/caffe-fast-rcnn src/caffe/layers/roi_pooling_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.pooled_h < 1 or p.pooled_w < 1:
            raise self.error(f"needs pooled_h and pooled_w of 1 or more, got {p.pooled_h} and {p.pooled_w}")
        self.index = self.add_buffer(np.int32)
        self.grown = float(p.spatial_scale), float(p.pad_ratio)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        count = check_regions(self, *bottom)
        top[0].reshape(count, bottom[0].channels, self.param.pooled_h, self.param.pooled_w)
        self.index.reshape_like(top[0])

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        own = regions_of(self, bottom[1], bottom[0].num)
        regions.max_forward(bottom[0].data, own, *self.grown, top[0].data, self.index.data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            own, dx = regions_of(self, bottom[1], bottom[0].num), bottom[0].diff
            dx.fill(0)
            regions.max_backward(top[0].diff, own, *self.grown, self.index.data, dx)


@register_layer("PSROIPooling", param="psroi_pooling_param", origin="R-FCN")
class PSROIPoolingLayer(Layer[caffe_pb2.PSROIPoolingParameter]):
    """The mean in each bin of a G x G grid over each region, of a channel that is for this bin.

    y[r, c, p, q] = mean of x[image, (c G + p) G + q] over bin(p, q), 0 where that is empty. The region's
    corners are rounded, its last pixel included, and then scaled; a side is 0.1 places long at least. dy is
    spread over the bin.

    Bottom: x, (N, output_dim G², H, W) for `group_size` G; regions, as for ROIPooling, without gradient.
    Top: y, (R, output_dim, G, G).
    Raises LayerError for another number of channels, and for a region of an image that there is not.
    Paper: Dai et al., "R-FCN", 2016 (arXiv 1605.06409).
    Source: daijifeng001/caffe-rfcn src/caffe/layers/psroi_pooling_layer.cu
    """

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if p.output_dim < 1 or p.group_size < 1 or not p.spatial_scale > 0:
            raise self.error("needs output_dim, group_size and spatial_scale above 0")

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        count = check_regions(self, *bottom)
        channels = p.output_dim * p.group_size**2
        if bottom[0].channels != channels:
            raise self.error(
                f"needs {channels} channels, output_dim group_size², got shape {bottom[0].shape}"
            )
        top[0].reshape(count, p.output_dim, p.group_size, p.group_size)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        own = regions_of(self, bottom[1], bottom[0].num)
        regions.by_place_forward(bottom[0].data, own, float(self.param.spatial_scale), top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            own, dx = regions_of(self, bottom[1], bottom[0].num), bottom[0].diff
            dx.fill(0)
            regions.by_place_backward(top[0].diff, own, float(self.param.spatial_scale), dx)

"""ROIAlign in two forms, and ROIAlignment: values at exact places of each region of interest."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.kernels import aligned_regions
from pycaffe_lite.layer.base import Blobs, Layer, P
from pycaffe_lite.layer.detection.regions import check_regions, regions_of
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


class _AlignLayer(Layer[P]):
    """What they have in common: a map and regions, of which the map gets a gradient."""

    exact_bottoms = 2
    exact_tops = 1

    def allow_force_backward(self, bottom_index: int) -> bool:
        return bottom_index == 0

    def _read_bins(
        self, p: caffe_pb2.ROIAlignParameter | caffe_pb2.ROIPoolingParameter | caffe_pb2.ROIAlignmentParameter
    ) -> None:
        if p.pooled_h < 1 or p.pooled_w < 1:
            raise self.error(f"needs pooled_h and pooled_w of 1 or more, got {p.pooled_h} and {p.pooled_w}")
        self.bins = p.pooled_h, p.pooled_w


@register_layer("ROIAlign", param="roi_align_param", origin="synopsys")
class ROIAlignLayer(_AlignLayer[caffe_pb2.ROIAlignParameter]):
    """The largest of four samples in each bin of a grid over each region.

    The region's corners times `spatial_scale` are places of x, the last included. A sample is made of the
    first four pixels in its bin, each of which counts by how near it lies to one of the region's own quarter
    points: that is the fork's, not the mean of the paper. At the end of a row or plane, the next one's pixels
    follow. A bin outside of x gives 0 at least. dy goes to the pixels of the largest sample. (The fork's own
    backward takes a region's number for that of its image.)

    Bottom: x, (N, C, H, W); regions, (R, 5): image, x1, y1, x2, y2 in the picture's pixels; they get no
    gradient. Top: y, (R, C, pooled_h, pooled_w). Raises LayerError for sizes of 0, and for a region of an
    image that there is not.
    Source: foss-for-synopsys-dwc-arc-processors/synopsys-caffe src/caffe/layers/roi_align_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._read_bins(self.param)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        count = check_regions(self, *bottom)
        top[0].reshape(count, bottom[0].channels, *self.bins)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        own = regions_of(self, bottom[1], bottom[0].num)
        aligned_regions.largest_forward(bottom[0].data, own, float(self.param.spatial_scale), top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            own, dx = regions_of(self, bottom[1], bottom[0].num), bottom[0].diff
            dx.fill(0)
            aligned_regions.largest_backward(
                bottom[0].data, top[0].diff, own, float(self.param.spatial_scale), dx
            )


def _is_cascades(layer: caffe_pb2.LayerParameter) -> bool:
    return layer.HasField("roi_pooling_param")


@register_layer("ROIAlign", param="roi_pooling_param", origin="Cascade R-CNN", applies=_is_cascades)
class CornerROIAlignLayer(_AlignLayer[caffe_pb2.ROIPoolingParameter]):
    """The values of x at the corners of a grid of bins over each region, each made of the four pixels around.

    A corner at v in the picture lies at v spatial_scale - 0.5 in x; outside of x the value is 0. `pad_ratio`
    makes the region larger by that part of its sides at each end. Nets put a Pooling layer behind it, with a
    window of 2 x 2 and pool AVE.

    Bottom: x, (N, C, H, W); regions, (R, 5): image, x1, y1, x2, y2 in the picture's pixels; they get no
    gradient. Top: y, (R, C, pooled_h + 1, pooled_w + 1). Raises LayerError for sizes of 0, and for a region
    of an image that there is not.
    Paper: He et al., "Mask R-CNN", 2017 (arXiv 1703.06870).
    Source: zhaoweicai/cascade-rcnn src/caffe/layers/roi_align_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._read_bins(self.param)
        self.grown = float(self.param.spatial_scale), float(self.param.pad_ratio)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        count, (P, Q) = check_regions(self, *bottom), self.bins
        top[0].reshape(count, bottom[0].channels, P + 1, Q + 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        own = regions_of(self, bottom[1], bottom[0].num)
        aligned_regions.corners_forward(bottom[0].data, own, *self.grown, top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            own, dx = regions_of(self, bottom[1], bottom[0].num), bottom[0].diff
            dx.fill(0)
            aligned_regions.corners_backward(top[0].diff, own, *self.grown, dx)


@register_layer("ROIAlignment", param="roi_alignment_param", origin="AffordanceNet")
class ROIAlignmentLayer(_AlignLayer[caffe_pb2.ROIAlignmentParameter]):
    """The value of x at the centre of each bin of a grid over each region, made of the four pixels around.

    A region's corners times `spatial_scale` are places of x, the last included; its sides are 1 at least.
    Bins are cut at the ends of x before their centres are taken.

    Bottom: x, (N, C, H, W); regions, (R, 5): image, x1, y1, x2, y2 in the picture's pixels; they get no
    gradient. Top: y, (R, C, pooled_h, pooled_w). Raises LayerError for sizes of 0, and for a region of an
    image that there is not.
    Source: nqanh/affordance-net caffe-affordance-net/src/caffe/layers/roi_alignment_layer.cpp
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._read_bins(self.param)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        top[0].reshape(check_regions(self, *bottom), bottom[0].channels, *self.bins)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        own = regions_of(self, bottom[1], bottom[0].num)
        aligned_regions.centres_forward(bottom[0].data, own, float(self.param.spatial_scale), top[0].data)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            own, dx = regions_of(self, bottom[1], bottom[0].num), bottom[0].diff
            dx.fill(0)
            aligned_regions.centres_backward(top[0].diff, own, float(self.param.spatial_scale), dx)

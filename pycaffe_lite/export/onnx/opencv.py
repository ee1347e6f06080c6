"""What OpenCV runs by its own layers, under their names in Caffe, and what it cannot run."""

from __future__ import annotations

from typing import Any

from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.detection.detection_output import DetectionOutputLayer
from pycaffe_lite.layer.detection.region_routing import ScaleRouteLayer
from pycaffe_lite.layer.detection.roi_pooling import ROIPoolingLayer
from pycaffe_lite.layer.detection.yolov3_detection_output import Yolov3DetectionOutputLayer
from pycaffe_lite.layer.utility.filter import FilterLayer
from pycaffe_lite.proto import caffe_pb2


@converts(DetectionOutputLayer, opencv=True)
def detection_output(g: LayerGraph, layer: DetectionOutputLayer) -> str:
    """OpenCV's own layer, which puts rows of zeros behind the detections."""
    p = layer.param
    if p.code_type == caffe_pb2.PriorBoxParameter.CORNER_SIZE:
        raise g.refuse("OpenCV's DetectionOutput does not know code_type CORNER_SIZE")
    if p.nms_param.eta != 1 or len(g.bottoms) > 3 or not p.nms_param.nms_threshold > 0:
        raise g.refuse(
            "OpenCV's DetectionOutput knows no eta, no nms_threshold of 0, no bottoms of RefineDet"
        )
    if not p.normalized:
        raise g.refuse("OpenCV's DetectionOutput knows no prior boxes in pixels of a picture")
    offsets, scores, priors = g.bottoms
    if g.bottom_shapes[2][1] == 2 and p.variance_encoded_in_target:  # OpenCV wants the boxes alone then
        priors = g.split(priors, 1, [1, 1])[0]
    most = p.keep_top_k if p.keep_top_k > -1 else layer.P * layer.C
    return g.op(
        "DetectionOutput", offsets, scores, priors,
        num_classes=p.num_classes, share_location=int(p.share_location), code_type=int(p.code_type),
        background_label_id=p.background_label_id, group_by_classes=1, keep_top_k=most,
        variance_encoded_in_target=int(p.variance_encoded_in_target),
        confidence_threshold=p.confidence_threshold if p.HasField("confidence_threshold") else None,
        nms_threshold=p.nms_param.nms_threshold,
        top_k=p.nms_param.top_k if p.nms_param.HasField("top_k") else -1,
    )  # fmt: skip


@converts(ROIPoolingLayer, opencv=True)
def roi_pooling(g: LayerGraph, layer: ROIPoolingLayer) -> str:
    """OpenCV's own layer."""
    p = layer.param
    if p.pad_ratio:
        raise g.refuse("OpenCV's ROIPooling knows no pad_ratio")
    return g.op(
        "ROIPooling", *g.bottoms, pooled_h=p.pooled_h, pooled_w=p.pooled_w, spatial_scale=p.spatial_scale
    )


@converts(FilterLayer, ScaleRouteLayer, Yolov3DetectionOutputLayer, opencv=True)
def rows_by_data(g: LayerGraph, layer: Any) -> str:
    """Cannot be exported: OpenCV keeps no rows by a condition."""
    raise g.refuse("OpenCV has no operator that keeps rows by a condition; --output ends the net before it")

"""Layers of detectors: boxes, their matching, their losses and their output."""

from pycaffe_lite.layer.detection import box_annotator_ohem as box_annotator_ohem
from pycaffe_lite.layer.detection import box_group_output as box_group_output
from pycaffe_lite.layer.detection import decode_bbox as decode_bbox
from pycaffe_lite.layer.detection import detection_evaluate as detection_evaluate
from pycaffe_lite.layer.detection import detection_group as detection_group
from pycaffe_lite.layer.detection import detection_output as detection_output
from pycaffe_lite.layer.detection import frcnn_evaluate as frcnn_evaluate
from pycaffe_lite.layer.detection import frcnn_output as frcnn_output
from pycaffe_lite.layer.detection import multibox_focal_loss as multibox_focal_loss
from pycaffe_lite.layer.detection import multibox_loss as multibox_loss
from pycaffe_lite.layer.detection import prior_box as prior_box
from pycaffe_lite.layer.detection import proposal as proposal
from pycaffe_lite.layer.detection import proposal_target as proposal_target
from pycaffe_lite.layer.detection import region_loss as region_loss
from pycaffe_lite.layer.detection import region_routing as region_routing
from pycaffe_lite.layer.detection import roi_align as roi_align
from pycaffe_lite.layer.detection import roi_pooling as roi_pooling
from pycaffe_lite.layer.detection import rpn as rpn
from pycaffe_lite.layer.detection import yolov3 as yolov3
from pycaffe_lite.layer.detection import yolov3_detection_output as yolov3_detection_output

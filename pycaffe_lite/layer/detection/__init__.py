"""Layers of detectors: boxes, their matching, their losses and their output."""

from pycaffe_lite.layer.detection import detection_evaluate as detection_evaluate
from pycaffe_lite.layer.detection import frcnn_evaluate as frcnn_evaluate
from pycaffe_lite.layer.detection import proposal as proposal
from pycaffe_lite.layer.detection import roi_align as roi_align
from pycaffe_lite.layer.detection import rpn as rpn

"""Layers for sequences: texts and other rows of symbols."""

from pycaffe_lite.layer.sequence import continuation_indicator as continuation_indicator

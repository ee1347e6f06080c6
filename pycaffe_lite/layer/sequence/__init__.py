"""Layers for sequences: texts and other rows of symbols."""

from pycaffe_lite.layer.sequence import continuation_indicator as continuation_indicator
from pycaffe_lite.layer.sequence import ctc_decoder as ctc_decoder
from pycaffe_lite.layer.sequence import ctc_loss as ctc_loss
from pycaffe_lite.layer.sequence import labelsequence_accuracy as labelsequence_accuracy

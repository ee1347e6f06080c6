"""Normalization layers."""

from pycaffe_lite.layer.normalization import batch_norm as batch_norm
from pycaffe_lite.layer.normalization import bn as bn
from pycaffe_lite.layer.normalization import lrn as lrn
from pycaffe_lite.layer.normalization import mvn as mvn
from pycaffe_lite.layer.normalization import normalize as normalize

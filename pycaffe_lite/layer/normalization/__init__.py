"""Normalization layers."""

from pycaffe_lite.layer.normalization import batch_norm as batch_norm
from pycaffe_lite.layer.normalization import bn as bn
from pycaffe_lite.layer.normalization import intel_batch_norm as intel_batch_norm
from pycaffe_lite.layer.normalization import lrn as lrn
from pycaffe_lite.layer.normalization import mvn as mvn
from pycaffe_lite.layer.normalization import normalize as normalize
from pycaffe_lite.layer.normalization import nvidia_batch_norm as nvidia_batch_norm
from pycaffe_lite.layer.normalization import pspnet_batch_norm as pspnet_batch_norm

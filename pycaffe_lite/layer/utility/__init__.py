"""Utility layers: they rearrange, join, reduce or compare blobs."""

from pycaffe_lite.layer.utility import argmax as argmax
from pycaffe_lite.layer.utility import batch_reindex as batch_reindex
from pycaffe_lite.layer.utility import concat as concat
from pycaffe_lite.layer.utility import eltwise as eltwise
from pycaffe_lite.layer.utility import filter as filter
from pycaffe_lite.layer.utility import flatten as flatten
from pycaffe_lite.layer.utility import gather_batch as gather_batch
from pycaffe_lite.layer.utility import parameter as parameter
from pycaffe_lite.layer.utility import pixel_shuffle as pixel_shuffle
from pycaffe_lite.layer.utility import python as python
from pycaffe_lite.layer.utility import reduction as reduction
from pycaffe_lite.layer.utility import reshape as reshape
from pycaffe_lite.layer.utility import silence as silence
from pycaffe_lite.layer.utility import slice as slice
from pycaffe_lite.layer.utility import softmax as softmax
from pycaffe_lite.layer.utility import split as split
from pycaffe_lite.layer.utility import tile as tile
from pycaffe_lite.layer.utility import weighted_sum as weighted_sum

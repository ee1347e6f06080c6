"""The layer types; importing this room registers them all."""

from pycaffe_lite.layer import activation as activation
from pycaffe_lite.layer import common as common
from pycaffe_lite.layer import data as data
from pycaffe_lite.layer import detection as detection
from pycaffe_lite.layer import loss as loss
from pycaffe_lite.layer import normalization as normalization
from pycaffe_lite.layer import recurrent as recurrent
from pycaffe_lite.layer import sequence as sequence
from pycaffe_lite.layer import utility as utility
from pycaffe_lite.layer import vision as vision

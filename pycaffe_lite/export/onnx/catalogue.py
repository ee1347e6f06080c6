"""All converters; importing this module registers them."""

from pycaffe_lite.export.onnx import activation as activation
from pycaffe_lite.export.onnx import cascade as cascade
from pycaffe_lite.export.onnx import common as common
from pycaffe_lite.export.onnx import data as data
from pycaffe_lite.export.onnx import detection as detection
from pycaffe_lite.export.onnx import loss as loss
from pycaffe_lite.export.onnx import normalization as normalization
from pycaffe_lite.export.onnx import opencv as opencv
from pycaffe_lite.export.onnx import recurrent as recurrent
from pycaffe_lite.export.onnx import regions as regions
from pycaffe_lite.export.onnx import sampling as sampling
from pycaffe_lite.export.onnx import sequence as sequence
from pycaffe_lite.export.onnx import utility as utility
from pycaffe_lite.export.onnx import vision as vision

"""Activation layers: one value in, one value out, and scales and shifts per channel."""

from pycaffe_lite.layer.activation import absval as absval
from pycaffe_lite.layer.activation import bias as bias
from pycaffe_lite.layer.activation import bnll as bnll
from pycaffe_lite.layer.activation import bounded_scale as bounded_scale
from pycaffe_lite.layer.activation import clip as clip
from pycaffe_lite.layer.activation import elu as elu
from pycaffe_lite.layer.activation import exp as exp
from pycaffe_lite.layer.activation import log as log
from pycaffe_lite.layer.activation import power as power
from pycaffe_lite.layer.activation import prelu as prelu
from pycaffe_lite.layer.activation import relu as relu
from pycaffe_lite.layer.activation import scale as scale
from pycaffe_lite.layer.activation import sigmoid as sigmoid
from pycaffe_lite.layer.activation import swish as swish
from pycaffe_lite.layer.activation import tanh as tanh
from pycaffe_lite.layer.activation import threshold as threshold

"""Common layers: inner product, dropout and embedding."""

from pycaffe_lite.layer.common import dropout as dropout
from pycaffe_lite.layer.common import embed as embed
from pycaffe_lite.layer.common import inner_product as inner_product
from pycaffe_lite.layer.common import normalized_inner_product as normalized_inner_product

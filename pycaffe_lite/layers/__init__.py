"""The layer types; importing this room registers them all."""

from pycaffe_lite.layers import input as input

"""Vision layers: they look at images through windows."""

from pycaffe_lite.layer.vision import convolution as convolution
from pycaffe_lite.layer.vision import crop as crop
from pycaffe_lite.layer.vision import deconvolution as deconvolution
from pycaffe_lite.layer.vision import im2col as im2col
from pycaffe_lite.layer.vision import pooling as pooling
from pycaffe_lite.layer.vision import spp as spp
from pycaffe_lite.layer.vision import unpadded_mean as unpadded_mean
from pycaffe_lite.layer.vision import upsample as upsample

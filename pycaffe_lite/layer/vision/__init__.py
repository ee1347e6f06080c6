"""Vision layers: they look at images through windows."""

from pycaffe_lite.layer.vision import convolution as convolution
from pycaffe_lite.layer.vision import convolution_3d as convolution_3d
from pycaffe_lite.layer.vision import crop as crop
from pycaffe_lite.layer.vision import deconvolution as deconvolution
from pycaffe_lite.layer.vision import depthwise_convolution as depthwise_convolution
from pycaffe_lite.layer.vision import im2col as im2col
from pycaffe_lite.layer.vision import interp as interp
from pycaffe_lite.layer.vision import nd_convolution as nd_convolution
from pycaffe_lite.layer.vision import pooling as pooling
from pycaffe_lite.layer.vision import pooling_volumes as pooling_volumes
from pycaffe_lite.layer.vision import spp as spp
from pycaffe_lite.layer.vision import upsample as upsample

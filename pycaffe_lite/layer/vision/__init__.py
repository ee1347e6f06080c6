"""Vision layers: they look at images through windows."""

from pycaffe_lite.layer.vision import convolution as convolution
from pycaffe_lite.layer.vision import convolution_3d as convolution_3d
from pycaffe_lite.layer.vision import correlation as correlation
from pycaffe_lite.layer.vision import crop as crop
from pycaffe_lite.layer.vision import deconvolution as deconvolution
from pycaffe_lite.layer.vision import depthwise_convolution as depthwise_convolution
from pycaffe_lite.layer.vision import flow_warp as flow_warp
from pycaffe_lite.layer.vision import im2col as im2col
from pycaffe_lite.layer.vision import interp as interp
from pycaffe_lite.layer.vision import mean_field as mean_field
from pycaffe_lite.layer.vision import nd_convolution as nd_convolution
from pycaffe_lite.layer.vision import pooling as pooling
from pycaffe_lite.layer.vision import pooling_volumes as pooling_volumes
from pycaffe_lite.layer.vision import resample as resample
from pycaffe_lite.layer.vision import spatial_transformer as spatial_transformer
from pycaffe_lite.layer.vision import spp as spp
from pycaffe_lite.layer.vision import unpadded_mean as unpadded_mean
from pycaffe_lite.layer.vision import unpooling as unpooling
from pycaffe_lite.layer.vision import upsample as upsample

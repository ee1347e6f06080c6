"""Data layers, which give a net its values."""

from pycaffe_lite.layer.data import annotated_data as annotated_data
from pycaffe_lite.layer.data import data as data
from pycaffe_lite.layer.data import data_sequence as data_sequence
from pycaffe_lite.layer.data import detection_data as detection_data
from pycaffe_lite.layer.data import detectnet_transformation as detectnet_transformation
from pycaffe_lite.layer.data import dummy_data as dummy_data
from pycaffe_lite.layer.data import hdf5_data as hdf5_data
from pycaffe_lite.layer.data import hdf5_output as hdf5_output
from pycaffe_lite.layer.data import image_data as image_data
from pycaffe_lite.layer.data import input as input
from pycaffe_lite.layer.data import mat_write as mat_write
from pycaffe_lite.layer.data import memory_data as memory_data
from pycaffe_lite.layer.data import picture_pairs as picture_pairs
from pycaffe_lite.layer.data import video_data as video_data
from pycaffe_lite.layer.data import window_data as window_data

"""What the recorded cases (test_pycaffe_golden.py) leave open of Classifier."""

import numpy as np
import pytest
from paths import FIXTURES

import pycaffe_lite as caffe
from pycaffe_lite.errors import ArgumentError

IMAGE = FIXTURES / "pycaffe" / "data" / "images" / "big.png"
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.01 } } }
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    caffe.Net(tmp_path / "n.prototxt", caffe.TEST).save(tmp_path / "w.caffemodel")
    return tmp_path / "n.prototxt", tmp_path / "w.caffemodel"


def test_images_stay_as_they_are(files):
    classifier = caffe.Classifier(*files, raw_scale=255, mean=np.array([1.0, 2.0, 3.0]))
    image = np.random.default_rng(0).random((6, 6, 3), np.float32)
    before = image.copy()
    for oversample in (True, False):
        assert classifier.predict([image] * 3, oversample).shape == (3, 2)
    assert np.array_equal(image, before)


def test_settings_that_do_not_fit(files, tmp_path):
    with pytest.raises(ArgumentError, match="the order of channels of 'data' needs 3 numbers"):
        caffe.Classifier(*files, channel_swap=(1, 0))
    (tmp_path / "d.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'
    )
    with pytest.raises(
        ArgumentError,
        match="has no Input layer, whose blob an image could fill: use the prototxt for deployment",
    ):
        caffe.Classifier(tmp_path / "d.prototxt", files[1])

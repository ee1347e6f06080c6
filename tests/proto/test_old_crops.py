"""CROP layers of the old format: offsets from the geometry of the net."""

import pytest

from pycaffe_lite.coord_map import crop
from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.net_spec import layers as L
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.proto.upgrade import net_needs_upgrade, upgrade_net

HEAD = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 40 input_dim: 40 '
FCN = (
    "layers { type: CONVOLUTION name: 'c1' bottom: 'data' top: 'c1'"
    " convolution_param { num_output: 4 kernel_size: 3 pad: 20 } }"
    "layers { type: RELU name: 'r' bottom: 'c1' top: 'c1' }"
    "layers { type: POOLING name: 'p1' bottom: 'c1' top: 'p1' pooling_param { kernel_size: 2 stride: 2 } }"
    "layers { type: CONVOLUTION name: 'c2' bottom: 'p1' top: 'c2'"
    " convolution_param { num_output: 2 kernel_size: 5 } }"
    "layers { type: DECONVOLUTION name: 'up' bottom: 'c2' top: 'up'"
    " convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }"
    "layers { type: CROP name: 'crop' bottom: 'up' bottom: 'data' top: 'y' }"
)


def crops(text):
    message = parse(text, caffe_pb2.NetParameter).message
    assert net_needs_upgrade(message)
    upgrade_net(message)
    return [list(layer.crop_param.offset) for layer in message.layer if layer.type == "Crop"]


def pycaffes_offset():
    data = L.Input()
    c1 = L.Convolution(data, kernel_size=3, pad=20)
    c2 = L.Convolution(L.Pooling(L.ReLU(c1), kernel_size=2, stride=2), kernel_size=5)
    up = L.Deconvolution(c2, convolution_param={"kernel_size": 4, "stride": 2})
    return crop(up, data).fn.params["crop_param"]["offset"]


def test_as_pycaffe_finds_them():
    (offset,) = crops(HEAD + FCN)
    assert offset == pycaffes_offset() * 2
    assert offset[0] > 0


def test_by_way_of_another_crop_and_a_sum():
    """A skip connection: the fused scores lie where the cropped ones do."""
    skip = (
        "layers { type: CONVOLUTION name: 's' bottom: 'p1' top: 's'"
        " convolution_param { num_output: 2 kernel_size: 1 } }"
        "layers { type: CROP name: 'crop1' bottom: 's' bottom: 'up1' top: 'sc' }"
        "layers { type: ELTWISE name: 'sum' bottom: 'up1' bottom: 'sc' top: 'f' }"
        "layers { type: CROP name: 'crop2' bottom: 'f' bottom: 'data' top: 'y' }"
    )
    up = (
        "layers { type: POOLING name: 'p2' bottom: 'p1' top: 'p2'"
        " pooling_param { kernel_size: 2 stride: 2 } }"
        "layers { type: CONVOLUTION name: 'c3' bottom: 'p2' top: 'c3'"
        " convolution_param { num_output: 2 kernel_size: 3 } }"
        "layers { type: DECONVOLUTION name: 'up1' bottom: 'c3' top: 'up1'"
        " convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }"
    )
    text = HEAD + FCN.split("layers { type: CONVOLUTION name: 'c2'")[0] + up + skip
    with pytest.raises(PrototxtError, match=r"cannot make 'f' fit 'data': one lies at 0.5 x"):
        crops(text)
    assert crops(text.split("layers { type: CROP name: 'crop2'")[0]) == [[1, 1]]


def test_without_a_blob_in_common():
    text = HEAD + (
        "layers { type: INNER_PRODUCT name: 'i' bottom: 'data' top: 'i' }"
        "layers { type: CROP name: 'crop' bottom: 'i' bottom: 'data' top: 'y' }"
    )
    with pytest.raises(PrototxtError) as error:
        crops(text)
    assert "layer 'crop' (Crop) cannot find its offset: 'i' and 'data' do not come from one blob" in str(
        error.value
    )


def test_a_crop_with_an_offset_keeps_it():
    text = HEAD + FCN.replace("top: 'y' }", "top: 'y' crop_param { offset: 3 } }")
    assert crops(text) == [[3]]


def test_crf_rnns_nets_of_the_present_format():
    """There a Crop without parameters finds its offset, too; in other nets it begins at 0."""
    old = parse(HEAD + FCN, caffe_pb2.NetParameter).message
    upgrade_net(old)
    net = caffe_pb2.NetParameter(layer=old.layer)
    net.layer[-1].ClearField("crop_param")
    assert not net_needs_upgrade(net)
    net.layer.add(name="crf", type="MultiStageMeanfield", bottom=["y", "y", "data"], top=["z"])
    assert net_needs_upgrade(net)
    upgrade_net(net)
    assert net.layer[-2].crop_param == old.layer[-1].crop_param

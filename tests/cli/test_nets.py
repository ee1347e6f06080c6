import numpy as np
import pytest

from pycaffe_lite.cli.nets import load_net
from pycaffe_lite.errors import NetError, PrototxtError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN

TEXT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
layer { name: "train" type: "Power" bottom: "y" top: "z" include { phase: TRAIN } }
layer { name: "staged" type: "Power" bottom: "y" top: "w" include { stage: "a" min_level: 2 } }
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "n.prototxt").write_text(TEXT)
    return str(tmp_path / "n.prototxt")


@pytest.mark.parametrize(
    ("phase", "level", "stage", "more"),
    [(TRAIN, 0, "", ["train"]), (TEST, 0, "a", []), (TEST, 2, "b, a", ["staged"]), (TEST, 2, "", [])],
)
def test_the_options_choose_the_layers(file, phase, level, stage, more):
    net = load_net(file, phase, level, stage, None, False)
    assert net.phase == phase
    names = [name for name in net.layer_names if "split" not in name]
    assert names == ["x", "ip", *more]


def test_weights(file, tmp_path):
    net = Net(file, TEST)
    net.params["ip"][0].data[...] = 7
    net.save(tmp_path / "w.caffemodel")
    loaded = load_net(file, TEST, 0, "", str(tmp_path / "w.caffemodel"), False)
    assert np.all(loaded.params["ip"][0].data == 7)
    assert not load_net(file, TEST, 0, "", "", False).params["ip"][0].data.any()


def test_strict(file, tmp_path):
    (tmp_path / "n.prototxt").write_text(
        TEXT + "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'r' odd: 3 }"
    )
    load_net(file, TEST, 0, "", None, False)
    with pytest.raises(PrototxtError, match="unknown field 'odd'"):
        load_net(file, TEST, 0, "", None, True)


def test_nothing_to_run(file, tmp_path):
    (tmp_path / "n.prototxt").write_text(TEXT.splitlines()[3])
    with pytest.raises(NetError, match=r"n.prototxt: the net has no layers in phase TEST$"):
        load_net(file, TEST, 0, "", None, False)

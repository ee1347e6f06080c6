"""`pycaffe-lite upgrade-net`."""

from pathlib import Path

import numpy as np
import pytest

from pycaffe_lite.formats.forks import BinaryNet, read_net, write_net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

OLD = """\
# of 2014
name: "old"
input: "data"
input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 3
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 blobs_lr: 2
  convolution_param { num_output: 4 kernel_size: 3 winograd: true }
  coeff_schedule_param { momentum: 0.1 }
}
"""
NEW = """\
name: "old"
layer {
  name: "input"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 1
      dim: 2
      dim: 3
      dim: 3
    }
  }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param {
    lr_mult: 1.0
  }
  param {
    lr_mult: 2.0
  }
  convolution_param {
    num_output: 4
    kernel_size: 3
    winograd: true
  }
  coeff_schedule_param { momentum: 0.1 }
}
"""
V0 = """
input: "x"
layers { layer { name: "c" type: "conv" kernelsize: 3 weight_filler { new: 1 } } bottom: "x" top: "y" }
"""


@pytest.fixture
def old(folder):
    Path("old.prototxt").write_text(OLD)
    return "old.prototxt"


def test_text(old, run):
    result = run("upgrade-net", old, "new.prototxt")
    assert (result.code, result.out) == (0, ["wrote new.prototxt"])
    assert result.messages == [
        "old.prototxt:7: unknown field 'winograd' in ConvolutionParameter is ignored",
        "old.prototxt:8: field 'coeff_schedule_param' in V1LayerParameter (synopsys, FlowNet 2) "
        "changes no result: only types of layers that these forks alone have read it",
        "old.prototxt: upgraded V1 layers ('layers') to the present format ('layer')",
        "old.prototxt: made an Input layer of the net's 'input' fields",
    ]
    assert Path("new.prototxt").read_text() == NEW


def test_a_present_net_stays_as_it_is(folder, run):
    Path("new.prototxt").write_text(NEW)
    assert run("upgrade-net", "new.prototxt", "new.prototxt", level=2) == (0, ["wrote new.prototxt"], [])
    assert Path("new.prototxt").read_text() == NEW


def test_binary(folder, run):
    net = caffe_pb2.NetParameter(name="old")
    layer = net.layers.add(name="ip", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT, blobs_lr=[3])
    layer.blobs.add(num=1, channels=1, height=2, width=2, data=np.arange(4))
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    assert run("upgrade_net", "old.caffemodel", "new.caffemodel", level=2).code == 0
    upgraded = caffe_pb2.NetParameter.FromString(Path("new.caffemodel").read_bytes())
    (ip,) = upgraded.layer
    assert (upgraded.name, ip.type, list(ip.blobs[0].data)) == ("old", "InnerProduct", [0, 1, 2, 3])
    assert ip.param[0].lr_mult == 3
    assert not upgraded.layers


def test_what_cannot_be_kept_makes_it_fail(folder, run):
    Path("old.prototxt").write_text(V0.replace("weight_filler { new: 1 }", "dropout_ratio: 0.5"))
    result = run("upgrade-net", "old.prototxt", "new.prototxt", level=1)
    assert (result.code, result.out) == (1, ["wrote new.prototxt"])
    assert result.messages == ["old.prototxt: V0 layer 'c' of type 'conv' takes no dropout_ratio: dropped"]
    assert 'type: "Convolution"' in Path("new.prototxt").read_text()


def test_an_unknown_field_that_has_no_place_any_more(folder, run):
    Path("old.prototxt").write_text(V0)
    result = run("upgrade-net", "old.prototxt", "new.prototxt", level=1)
    assert result.code == 1
    assert result.messages == [
        "old.prototxt:3: unknown field 'new' in FillerParameter is ignored",
        "old.prototxt:3: unknown field 'new' is lost",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"layer {", "old:1:1: this block is not closed: '}' is missing, the text ends at line 1"),
        (b"\x0a\xff\xff\x01", "old: this is neither a text nor a binary NetParameter"),
    ],
)
def test_unreadable(folder, run, content, message):
    Path("old").write_bytes(content)
    result = run("upgrade-net", "old", "new", level=3)
    assert (result.code, result.out) == (2, [])
    assert result.err[0].startswith(f"Error: {message}")
    assert len(result.err) == 1
    assert not Path("new").exists()


def test_other_failures(old, fails, misused):
    assert fails("upgrade-net", "none", "new") == "Error: no such file: 'none'"
    assert fails("upgrade-net", old, "no/new") == "Error: cannot write 'no/new': No such file or directory"
    assert misused("upgrade-net", old) == "Error: Missing argument 'OUT'."


def test_a_binary_net_of_a_fork(folder, run):
    text = 'layer { name: "p" type: "PriorBox" bottom: "x" bottom: "x" prior_box_param { min_size: 30 } }'
    net = parse(text, caffe_pb2.NetParameter).message
    net.layer[0].blobs.add(data=[1, 2]).shape.dim.append(2)
    net.input.append("x")  # of an old net
    net.input_dim.extend([1, 3, 8, 8])
    Path("old.caffemodel").write_bytes(write_net(BinaryNet(net, "SSD")))
    assert run("upgrade-net", "old.caffemodel", "new.caffemodel").out == ["wrote new.caffemodel"]
    content = Path("new.caffemodel").read_bytes()
    upgraded = read_net(content)
    assert upgraded.fork == "SSD"
    assert [layer.type for layer in upgraded.message.layer] == ["Input", "PriorBox"]
    assert upgraded.message.layer[1] == net.layer[0]
    assert b"\xda\x0c" in content  # 203, SSD's number for prior_box_param

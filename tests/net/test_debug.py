import numpy as np
import pytest

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

TEXT = """
layer { name: "in" type: "Input" top: "x" top: "t"
        input_param { shape { dim: 2 dim: 2 } shape { dim: 2 dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" } param { lr_mult: 0 }
        inner_product_param { num_output: 1 weight_filler { value: -0.5 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


@pytest.fixture
def lines(caplog):
    """What a forward and a backward pass log: y is (-2, 1), the loss 1.25, its gradient (-1, 0.5)."""
    net = Net.from_text(TEXT, caffe_pb2.TRAIN)
    net.debug_info = True
    net.blobs["x"].data[...] = [[1, 3], [0, -2]]
    with caplog.at_level("INFO", logger="pycaffe_lite.net.debug"):
        net.forward()
        net.backward()
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_lines_are_caffes(lines):
    """None of what has no gradient: t, x, and the parameter with the rate 0."""
    info = [line for level, line in lines if level == "INFO"]
    assert info == [
        "    [Forward] Layer in, top blob x data: 1.5",
        "    [Forward] Layer in, top blob t data: 0",
        "    [Forward] Layer ip, top blob y data: 1.5",
        "    [Forward] Layer ip, param blob w data: 0.5",
        "    [Forward] Layer ip, param blob 1 data: 0",
        "    [Forward] Layer loss, top blob loss data: 1.25",
        "    [Backward] Layer loss, bottom blob y diff: 0.75",
        "    [Backward] Layer ip, param blob 0 diff: 2.5",
    ]


def test_the_norms_of_all_parameters_come_last_and_as_errors(lines):
    """w is (-0.5, -0.5), its gradient (-1, -4); b is 0, with no gradient."""
    assert lines[-1] == (
        "ERROR",
        "    [Backward] All net params (data, diff): L1 norm = (1, 5); "
        f"L2 norm = ({np.sqrt(0.5):g}, {np.sqrt(17):g})",
    )

"""A small solver to be watched, whose layers have names that a page must not obey."""

from pycaffe_lite import get_solver
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

HOSTILE = "<img src=x onerror=alert(1)>"
ESCAPES = "\\033[2Jclear"
SOLVER = """
net_param {
  name: "<b>net</b>"
  layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
    shape { dim: 8 dim: 1 dim: 6 dim: 6 } shape { dim: 8 }
    data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
  layer { name: "HOSTILE" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
  layer { name: "ESCAPES" type: "InnerProduct" bottom: "conv" top: "HOSTILE"
    inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "HOSTILE" bottom: "label" top: "loss" }
  layer { name: "accuracy" type: "Accuracy" bottom: "HOSTILE" bottom: "label" top: "HOSTILE accuracy"
    include { phase: TEST } }
}
base_lr: 0.001 lr_policy: "step" gamma: 0.5 stepsize: 10 momentum: 0.9 random_seed: 3 display: 5
max_iter: 30 test_iter: 2 test_interval: 10 snapshot_after_train: false
"""


def small_solver(more="", **arguments):
    """The solver; `more`: further settings, such as another max_iter."""
    text = SOLVER.replace("HOSTILE", HOSTILE).replace("ESCAPES", ESCAPES)
    document = parse(text, caffe_pb2.SolverParameter)
    document.message.MergeFrom(parse(more, caffe_pb2.SolverParameter).message)
    return get_solver(document, **arguments)

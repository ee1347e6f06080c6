import logging

import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.loss.batch_loss import BatchLossLayer
from pycaffe_lite.proto import caffe_pb2


def build(*shapes):
    layer = BatchLossLayer(caffe_pb2.LayerParameter(name="l", type="Loss"), None, LayerContext())
    layer.set_up([Blob(shape) for shape in shapes], [Blob()])
    return layer


def test_the_divisor_is_the_number_of_records():
    assert build((4, 3), (4, 3)).N == 4
    assert build((5,), (5,)).N == 5


@pytest.mark.parametrize(
    ("shape", "says"),
    [((0, 3), r"cannot take the mean of no records, got bottom shape \(0, 3\)"), ((2,) * 5, "4")],
)
def test_batches_without_a_mean(shape, says):
    with pytest.raises(LayerError, match=says):
        build(shape, shape)


def test_loss_param_is_said_to_have_no_effect(caplog):
    caplog.set_level(logging.WARNING)
    values = [[1.0], [2.0]], [[3.0], [5.0]]
    plain = build_layer('type: "EuclideanLoss"', values).forward()[0]
    other = build_layer('type: "EuclideanLoss" loss_param { normalization: NONE }', values).forward()[0]
    assert plain == other == (4 + 9) / 4
    assert ["loss_param" in message for message in caplog.messages] == [True]

"""Writing the text format: what is written is read back, unknown fields included."""

from hypothesis import HealthCheck, given, settings
from random_messages import messages

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.proto.text_writer import TextWriter

TEXT = """\
name: "é"
layer {
  name: "a"
  loss_weight: 0.1
  loss_weight: 1.0
  convolution_param {
    pad: 1
    engine: CAFFE
    taps: [1, 2]
  }
  coeff_schedule_param {
    order: 0  # the batch
    more { deep: 'x' }
  }
}
layer {
  phase: TEST
}
fork: -inf
"""


def written(text, kind=caffe_pb2.NetParameter):
    document = parse(text, kind)
    writer = TextWriter(document.message, document.unknown)
    return writer.write(), writer.unplaced


def test_text():
    assert written(TEXT) == (TEXT, [])


def test_lines_of_unknown_fields_keep_their_distances():
    text = "layer { x_param {\n      y: 1\n        z { }\n    } }"
    assert written(text) == ("layer {\n  x_param {\n    y: 1\n      z { }\n  }\n}\n", [])


def test_nothing():
    assert written("") == ("", [])


def test_an_unknown_field_whose_message_is_gone():
    document = parse("layer { coeff_schedule_param { order: 1 } }", caffe_pb2.NetParameter)
    writer = TextWriter(caffe_pb2.NetParameter(name="n"), document.unknown)
    assert writer.write() == 'name: "n"\n'
    assert [field.name for field in writer.unplaced] == ["coeff_schedule_param"]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(messages())
def test_random_message_is_read_back(message):
    assert parse(TextWriter(message).write(), type(message), strict=False).message == message

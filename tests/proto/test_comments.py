"""The schema's comments, for help texts."""

import pytest

from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.comments import comment_on


def layer_messages():
    """All messages that hold parameters of a layer type, those inside them included."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    names = {
        name for entry in layer_types().values() for name in (entry.param, *entry.layer_class.also_reads)
    }
    found = {}
    waiting = [fields[name].message_type for name in names - {None}]
    while waiting:
        message = waiting.pop()
        found[message.name] = message
        waiting += [
            f.message_type for f in message.fields if f.message_type and f.message_type.name not in found
        ]
    return [found[name] for name in sorted(found)]


@pytest.mark.parametrize("message", layer_messages(), ids=lambda message: message.name)
def test_every_parameter_of_a_layer_has_one(message):
    assert comment_on(message.name)
    assert [field.name for field in message.fields if not comment_on(message.name, field.name)] == []


def test_one_line():
    assert comment_on("ConvolutionParameter", "num_output") == "Number of output channels."
    assert comment_on("FillerParameter") == "How a learnable blob gets its first values."
    assert "\n" not in comment_on("LossParameter", "normalization")


def test_where_there_is_none():
    assert comment_on("NetParameter", "name") == ""
    assert comment_on("NoSuchMessage") == ""

"""The text format: whatever protobuf writes is read back as it was."""

import math

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_messages import messages

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(
    messages(),
    st.fixed_dictionaries(
        {},
        optional={
            "as_utf8": st.booleans(),
            "as_one_line": st.booleans(),
            "use_short_repeated_primitives": st.booleans(),
            "pointy_brackets": st.booleans(),
        },
    ),
)
def test_random_message_is_read_back(message, style):
    text = text_format.MessageToString(message, **style)
    document = parse(text, type(message), strict=False)
    assert document.message == message
    assert document.message.SerializeToString(deterministic=True) == message.SerializeToString(
        deterministic=True
    )


def test_every_field_of_the_schema_has_a_path():
    solver = caffe_pb2.SolverParameter()
    solver.net_param.layer.add().bottom.extend(["a", "b"])
    document = parse(text_format.MessageToString(solver), caffe_pb2.SolverParameter)
    assert document.lines == {
        ("net_param",): 1,
        ("net_param", "layer", 0): 2,
        ("net_param", "layer", 0, "bottom", 0): 3,
        ("net_param", "layer", 0, "bottom", 1): 4,
    }


WAYS = {
    "input_dim: 0x1F input_dim: 017, input_dim: -3; input_dim: [] input_dim:[4,5]": {
        "input_dim": [31, 15, -3, 4, 5]
    },
    "layer: { name: 'a' } layer < name: 'b' > layer: [{ name: 'c' }, < name: 'd' >]": {
        "layer": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]
    },
    "name: 'a' \"b\" # c\n 'd\\'\"'": {"name": "abd'\""},
    r"name: '\a\b\f\n\r\t\v\\\?\'\"\101\x41\x4a5\u00e9\U0001F600\ud83d\ude00\303\251'": {
        "name": "\a\b\f\n\r\t\v\\?'\"AAJ5é😀😀é"
    },
    "force_backward: t debug_info: 0": {"force_backward": True, "debug_info": False},
    "force_backward: True debug_info: false": {"force_backward": True, "debug_info": False},
    "state { phase: 0 } layer { phase: TEST }": {"state": {"phase": 0}, "layer": [{"phase": 1}]},
    "layer { loss_weight: 1 loss_weight: -1.5e-1f, loss_weight: .5 loss_weight: 2. loss_weight: 1F }": {
        "layer": [{"loss_weight": [1, -0.15, 0.5, 2, 1]}]
    },
    "layer { loss_weight: [inf, -Infinity, 1e400, 0010] }": {
        "layer": [{"loss_weight": [math.inf, -math.inf, math.inf, 10]}]
    },
    "layer{pooling_param{pad:1stride:2}}name:'n'": {
        "layer": [{"pooling_param": {"pad": 1, "stride": 2}}],
        "name": "n",
    },
    " \t\r\n\v\f # only blanks\n#": {},
}


@pytest.mark.parametrize("text", WAYS)
def test_ways_of_writing(text):
    assert parse(text, caffe_pb2.NetParameter).message == caffe_pb2.NetParameter(**WAYS[text])


def test_not_a_number():
    document = parse("layer { loss_weight: nan loss_weight: -NaN }", caffe_pb2.NetParameter)
    assert all(math.isnan(weight) for weight in document.message.layer[0].loss_weight)


def test_bytes():
    assert parse(r"data: '\000\xff' '\u00e9'", caffe_pb2.Datum).message == caffe_pb2.Datum(
        data=b"\0\xff\xc3\xa9"
    )

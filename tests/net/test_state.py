"""Which layers a state keeps."""

import pytest

from pycaffe_lite.errors import NetError
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


def kept(rules: str, state: str) -> bool:
    layer = parse(f'name: "l" {rules}', caffe_pb2.LayerParameter).message
    return bool(filter_layers([PlacedLayer(layer, "")], parse(state, caffe_pb2.NetState).message))


@pytest.mark.parametrize(
    ("rules", "state", "expected"),
    [
        ("", "phase: TRAIN", True),
        ("include { phase: TRAIN }", "phase: TRAIN", True),
        ("include { phase: TRAIN }", "phase: TEST", False),
        ("include { phase: TRAIN } include { phase: TEST }", "phase: TEST", True),
        ("exclude { phase: TRAIN }", "phase: TRAIN", False),
        ("exclude { phase: TRAIN }", "phase: TEST", True),
        ("include { }", "phase: TEST level: 3", True),
        ("exclude { }", "phase: TEST", False),
        ("include { min_level: 2 }", "level: 2", True),
        ("include { min_level: 2 }", "level: 1", False),
        ("include { max_level: 2 }", "level: 2", True),
        ("include { max_level: 2 }", "level: 3", False),
        ("include { min_level: -1 max_level: 1 }", "", True),
        ('include { stage: "a" stage: "b" }', 'stage: "b" stage: "a" stage: "c"', True),
        ('include { stage: "a" stage: "b" }', 'stage: "a"', False),
        ('include { not_stage: "a" }', 'stage: "b"', True),
        ('include { not_stage: "a" }', 'stage: "a"', False),
        ('include { stage: "a" not_stage: "b" phase: TEST }', 'stage: "a" phase: TEST', True),
        # MyCaffe's third phase is that of neither net
        ("include { phase: RUN }", "phase: TRAIN", False),
        ("include { phase: RUN }", "phase: TEST", False),
        ("exclude { phase: RUN }", "phase: TRAIN", True),
        # a layer's own phase is no rule
        ("phase: TEST", "phase: TRAIN", True),
    ],
)
def test_rules(rules, state, expected):
    assert kept(rules, state) is expected


def test_both_kinds_of_rule():
    layer = parse("name: 'l' include {} exclude {}", caffe_pb2.LayerParameter).message
    with pytest.raises(NetError) as raised:
        filter_layers([PlacedLayer(layer, "a.prototxt:3: ")], caffe_pb2.NetState())
    assert str(raised.value) == ("a.prototxt:3: layer 'l' has include and exclude rules; give only one kind")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("phase: TEST", "The NetState phase (0) differed from the phase (1) specified by a rule in layer l"),
        ("min_level: 3", "The NetState level (1) is below the min_level (3) specified by a rule in layer l"),
        ("max_level: 0", "The NetState level (1) is above the max_level (0) specified by a rule in layer l"),
        ("stage: 'x'", "The NetState did not contain stage 'x' specified by a rule in layer l"),
        ("not_stage: 'y'", "The NetState contained a not_stage 'y' specified by a rule in layer l"),
    ],
)
def test_reason_is_logged(rule, message, caplog):
    with caplog.at_level("INFO"):
        assert not kept(f"include {{ {rule} }}", "phase: TRAIN level: 1 stage: 'y'")
    assert [record.getMessage() for record in caplog.records] == [message]

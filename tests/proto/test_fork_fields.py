"""What is known of forks' fields; how nets take it is in tests/net/test_fork_fields.py."""

import csv

import pytest

from pycaffe_lite.proto import caffe_pb2, fork_fields
from pycaffe_lite.proto.fork_fields import FORK_VALUES, ForkField, Result, fork_field, value_in
from pycaffe_lite.proto.text_fields import fields_of

CHANGES = ForkField(Result.CHANGES, "0", "A, B", "sizes are rounded down", "")


def test_what_is_known_of_a_field():
    known = fork_field("PoolingParameter", "torch_pooling")
    assert (known.result, known.as_caffe) == (Result.CHANGES, "false")
    assert known.instead == "write round_mode: FLOOR, Caffe's own field for it"
    assert fork_field("PoolingParameter", "no_such_field") is None


def test_fields_of_any_message_and_of_old_layers():
    assert fork_field("LRNParameter", "engine").result is Result.HARMLESS
    rows = [row[1] for row in table() if row[0] == "LayerParameter"]
    for message in ("V1LayerParameter", "V0LayerParameter"):
        assert fork_field(message, rows[0]) == fork_field("LayerParameter", rows[0]) is not None


@pytest.mark.parametrize(
    ("as_caffe", "value", "same"),
    [
        ("0", "0.0f", True),
        ("0", "1", False),
        ("1.0", "1e0", True),
        ("true", "t", True),
        ("false", "0", True),
        ("false", "True", False),
        ("fixed", "fixed", True),
        ("fixed", "poly", False),
        ("0", "false", False),
        ("", "", False),
        ("0", None, False),  # a block or a list
    ],
)
def test_the_value_with_which_a_fork_computes_what_caffe_does(as_caffe, value, same):
    field = CHANGES._replace(as_caffe=as_caffe)
    assert field.result_of(value) is (Result.HARMLESS if same else Result.CHANGES)


def test_a_refusal_says_why_and_what_to_write():
    assert CHANGES.refusal("x: 1") == (
        "x: 1 is not supported: in the forks that have it (A, B) sizes are rounded down; without the field, "
        "Caffe's own computation takes place"
    )
    many = CHANGES._replace(forks="A, B, C, D, E", instead="write y")
    assert many.refusal("x") == (
        "x is not supported: in the forks that have it (A, B, C and others) sizes are rounded down; write y"
    )
    assert many._replace(forks="A, B, C, D").shown_forks == "A, B, C, D"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ceil_mode: false", "false"),
        ("ceil_mode : # floor\n 0", "0"),
        ("x: - 3", "-3"),
        ("type: 'L2'", "L2"),
        ("pads: [1, 2]", None),
        ("p { a: 1 }", None),
        ("p: < a: 1 >", None),
    ],
)
def test_the_value_in_a_fields_text(text, value):
    assert value_in(text) == value


def table():
    with fork_fields.TABLE.open(newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def test_the_table_has_each_field_once_and_none_of_the_schemas():
    rows = table()
    assert len({tuple(row[:2]) for row in rows}) == len(rows)
    messages = caffe_pb2.DESCRIPTOR.message_types_by_name
    for message, name, result, as_caffe, forks, why, _ in rows:
        assert message == "*" or name not in fields_of(messages[message]).by_name, (message, name)
        assert forks, (message, name)
        assert why, (message, name)
        assert not as_caffe or Result(result) is not Result.HARMLESS


@pytest.mark.parametrize(("message", "name", "value"), FORK_VALUES)
def test_values_are_of_enums_here(message, name, value):
    field = fields_of(caffe_pb2.DESCRIPTOR.message_types_by_name[message]).by_name[name]
    assert field.kind == "enum"
    assert FORK_VALUES[message, name, value]

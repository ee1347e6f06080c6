"""The schema is Caffe's to the last field, with what forks added, and lives beside other copies of it."""

import csv
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from paths import FIXTURES

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.comments import comment_on
from pycaffe_lite.proto.fork_fields import FORK_VALUES
from pycaffe_lite.proto.forks import fork_fields_of_schema, is_fork_field

TABLES = FIXTURES / "schema"


def table(name: str) -> set[tuple[str, ...]]:
    with open(TABLES / name, newline="") as file:
        return {tuple(row) for row in list(csv.reader(file, delimiter="\t"))[1:]}


def schema() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    return file


TYPES = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def field_row(message: str, field: descriptor_pb2.FieldDescriptorProto) -> tuple[str, ...]:
    kind = TYPES[field.type]
    if kind in ("message", "enum"):
        kind += ":" + field.type_name.removeprefix(".caffe.")
    label = {1: "optional", 2: "required", 3: "repeated"}[field.label]
    yes = {True: "true", False: "false"}
    return (
        message,
        field.name,
        str(field.number),
        label,
        kind,
        field.default_value,
        yes[field.options.packed],
        yes[field.options.deprecated],
        "",
    )


def with_float_default(row: tuple[str, ...]) -> tuple[str, ...]:
    """The default of a float field as the nearest float32, however it is written."""
    if row[4] == "float" and row[5]:
        return (*row[:5], str(np.float32(row[5])), *row[6:])
    return row


def test_every_field_both_ways():
    built = {
        field_row(m.name, field)
        for m in schema().message_type
        for field in m.field
        if not is_fork_field(m.name, field.name)
    }
    expected = {with_float_default(row) for row in table("caffe_proto_fields.tsv")}
    assert {with_float_default(row) for row in built} == expected


def test_every_enum_value_both_ways():
    file = schema()
    messages = {row[0] for row in table("caffe_proto_fields.tsv")}
    own = [(m.name, m.enum_type) for m in file.message_type if m.name in messages]
    scopes = [("(file)", file.enum_type), *own]
    built = {
        (scope, enum.name, value.name, str(value.number), "true" if value.options.deprecated else "false")
        for scope, enums in scopes
        for enum in enums
        for value in enum.value
    }
    expected = table("caffe_proto_enums.tsv")
    assert expected <= built
    assert {row[2] for row in built - expected} <= {value for _, _, value in FORK_VALUES}


def test_every_field_of_forks_has_its_numbers():
    expected = {row[:2] for row in table("caffe_proto_fields.tsv")}
    built = {(m.name, field.name) for m in schema().message_type for field in m.field}
    assert built - expected == set(fork_fields_of_schema())


def test_fields_of_forks_have_numbers_of_their_own():
    for message in schema().message_type:
        numbers = [field.number for field in message.field]
        assert len(set(numbers)) == len(numbers), message.name


def test_comments_of_both_files():
    assert comment_on("LayerParameter").startswith("A layer of a net.")
    assert comment_on("UpsampleParameter", "scale").startswith("How many times larger the top is: ")


def test_enums_are_reached_as_in_generated_code():
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Value("TEST") == 1
    assert caffe_pb2.PoolingParameter.AVE == 1
    assert caffe_pb2.SolverParameter.SolverMode.Name(1) == "GPU"


def test_messages_pickle():
    layer = caffe_pb2.LayerParameter(name="ip1", param=[caffe_pb2.ParamSpec(lr_mult=2)])
    assert pickle.loads(pickle.dumps(layer)) == layer


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_another_copy_in_the_default_pool(order):
    """The real Caffe registers the same names in protobuf's default pool; neither disturbs the other."""
    ours = "from pycaffe_lite.proto import caffe_pb2"
    theirs = (
        "from google.protobuf import descriptor_pb2, descriptor_pool, message_factory\n"
        "file = descriptor_pb2.FileDescriptorProto(name='caffe.proto', package='caffe')\n"
        "file.message_type.add(name='NetParameter').field.add(name='mine', number=1, type=9, label=1)\n"
        "pool = descriptor_pool.Default()\n"
        "pool.Add(file)\n"
        "theirs = message_factory.GetMessageClass(pool.FindMessageTypeByName('caffe.NetParameter'))"
    )
    parts = [ours, theirs] if order == "ours first" else [theirs, ours]
    check = "assert theirs(mine='x').mine == 'x' and caffe_pb2.NetParameter(name='y').name == 'y'"
    subprocess.run([sys.executable, "-c", "\n".join([*parts, check])], check=True)


def test_protobufs_slow_runtime():
    """Programs with code that an old protoc has generated need it."""
    code = """if True:
        from google.protobuf.internal import api_implementation
        from pycaffe_lite.proto import caffe_pb2, prototxt
        assert api_implementation.Type() == "python"
        text = "layer { name: 'c' type: 'Convolution' convolution_param { kernel_size: 3 kernel_size: 5 } }"
        net = prototxt.parse(text, caffe_pb2.NetParameter).message
        assert list(net.layer[0].convolution_param.kernel_size) == [3, 5]
    """
    environment = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_bare_checkout_is_told_what_to_do(tmp_path):
    with pytest.raises(ImportError) as raised:
        caffe_pb2._load(tmp_path / "caffe.desc")
    assert str(raised.value) == (
        f"{tmp_path / 'caffe.desc'} is missing: it is made from proto/*.proto when the package is "
        "installed; in a checkout run `pip install -e .` first"
    )

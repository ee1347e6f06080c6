"""The fields of messages, as readers of the text format need to know them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

_Proto = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int",
    FieldDescriptor.CPPTYPE_UINT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_ENUM: "enum",
    FieldDescriptor.CPPTYPE_STRING: "string",
    FieldDescriptor.CPPTYPE_MESSAGE: "message",
}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: its name. kind: int, float, bool, enum, string, bytes or message.
        repeated: whether it may be given more than once.
        low, high: the range of an int. values: an enum's, number by name.
    """

    name: str
    kind: str
    repeated: bool
    low: int
    high: int
    values: dict[str, int]


class Fields(NamedTuple):
    """The fields of a message.

    Attributes:
        by_name: each of them. required: the names of those that must be given.
        scalars: the names of those that are not messages.
    """

    by_name: dict[str, Field]
    required: tuple[str, ...]
    scalars: tuple[str, ...]


@cache
def fields_of(message: Descriptor) -> Fields:
    """The fields of a message type."""
    # The labels are read here because the descriptor's own property for them is deprecated in new
    # protobuf runtimes, and its successor missing in old ones.
    proto = descriptor_pb2.DescriptorProto()
    message.CopyToProto(proto)
    labels = {field.name: field.label for field in proto.field}
    by_name = {
        field.name: _field(field, repeated=labels[field.name] == _Proto.LABEL_REPEATED)
        for field in message.fields
    }
    required = tuple(name for name, label in labels.items() if label == _Proto.LABEL_REQUIRED)
    scalars = tuple(field.name for field in by_name.values() if field.kind != "message")
    return Fields(by_name, required, scalars)


def _field(field: FieldDescriptor, *, repeated: bool) -> Field:
    kind = "bytes" if field.type == FieldDescriptor.TYPE_BYTES else _KINDS[field.cpp_type]
    low, high = _RANGES.get(field.cpp_type, (0, 0))
    values = {value.name: value.number for value in field.enum_type.values} if field.enum_type else {}
    return Field(field.name, kind, repeated, low, high, values)

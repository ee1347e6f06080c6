"""What proto/caffe.proto says of its messages and fields, for help texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2

# Field numbers of descriptor.proto: paths of these say what a comment belongs to.
_MESSAGES = descriptor_pb2.FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_FIELDS = descriptor_pb2.DescriptorProto.FIELD_FIELD_NUMBER


def comment_on(message: str, field: str | None = None) -> str:
    """The comment in front of a message, or of one of its fields, as one line; empty if there is none.

    Args:
        message: name of a top-level message, `ConvolutionParameter`. field: name of a field of it.
    """
    return _comments().get((message, field), "")


@cache
def _comments() -> dict[tuple[str, str | None], str]:
    # Read from the file: protobuf drops comments when it builds classes, so those of caffe_pb2 lack them.
    compiled = Path(__file__).with_name("caffe.desc").read_bytes()
    schema = descriptor_pb2.FileDescriptorSet.FromString(compiled).file[-1]
    comments: dict[tuple[str, str | None], str] = {}
    for location in schema.source_code_info.location:
        text = " ".join(location.leading_comments.split())
        if text and location.path[0] == _MESSAGES:
            message = schema.message_type[location.path[1]]
            if len(location.path) == 2:
                comments[message.name, None] = text
            elif len(location.path) == 4 and location.path[2] == _FIELDS:
                comments[message.name, message.field[location.path[3]].name] = text
    return comments

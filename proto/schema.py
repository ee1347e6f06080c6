"""Compiles caffe.proto and forks.proto into one schema: `python proto/schema.py`; the build does it, too.

What forks.proto says of a message of Caffe's name is added to that message; its other messages stand beside
Caffe's. The package gets caffe.desc, the descriptors of the result with the protos' comments, and
caffe_pb2.pyi, its types for type checkers. Needs grpcio-tools.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    SourceCodeInfo,
)
from grpc_tools import protoc

HERE = Path(__file__).parent
TARGET = HERE.parent / "pycaffe_lite" / "proto"

# Numbers of fields in descriptor.proto, of which the paths of comments consist.
_MESSAGES = FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_FIELDS = DescriptorProto.FIELD_FIELD_NUMBER
_ENUMS = DescriptorProto.ENUM_TYPE_FIELD_NUMBER


def compile_schema() -> None:
    """Writes caffe.desc and caffe_pb2.pyi into the package."""
    with tempfile.TemporaryDirectory() as folder:
        both, merged = Path(folder, "both"), TARGET / "caffe.desc"
        _protoc(
            f"--proto_path={HERE}",
            "--include_imports",
            "--include_source_info",  # the comments, which `pycaffe-lite layers` shows
            f"--descriptor_set_out={both}",
            "forks.proto",
        )
        caffe, forks = descriptor_pb2.FileDescriptorSet.FromString(both.read_bytes()).file
        _merge(forks, caffe)
        merged.write_bytes(descriptor_pb2.FileDescriptorSet(file=[caffe]).SerializeToString())
        _protoc(f"--descriptor_set_in={merged}", f"--pyi_out={TARGET}", caffe.name)


def _protoc(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise SystemExit(f"protoc {' '.join(arguments)} has failed")


def _merge(forks: FileDescriptorProto, caffe: FileDescriptorProto) -> None:
    """Adds the messages of forks.proto, or their fields, to those of caffe.proto, with their comments."""
    _merge_enums(forks.enum_type, caffe.enum_type)
    index = {message.name: i for i, message in enumerate(caffe.message_type)}
    for i, added in enumerate(forks.message_type):
        _name_types_as_caffe(added)
        start = (0, 0)
        if added.name in index:
            message = caffe.message_type[index[added.name]]
            start = len(message.field), len(message.enum_type)
            message.field.extend(added.field)
            _merge_enums(added.enum_type, message.enum_type)
        else:
            index[added.name] = len(caffe.message_type)
            caffe.message_type.add().CopyFrom(added)
        for location in forks.source_code_info.location:
            if list(location.path[:2]) == [_MESSAGES, i]:
                _add_comment(location, index[added.name], start, caffe.source_code_info)


def _merge_enums(added: Iterable[EnumDescriptorProto], to: Any) -> None:
    """Adds enums to a list of them, or their values to the enum of that name which is there."""
    enums = {enum.name: enum for enum in to}
    for enum in added:
        if enum.name in enums:
            enums[enum.name].value.extend(enum.value)
        else:
            to.add().CopyFrom(enum)


def _name_types_as_caffe(message: DescriptorProto) -> None:
    """Makes fields refer to `.caffe.X` for what forks.proto calls `.caffe.forks.X`."""
    for field in message.field:
        if field.type_name:
            field.type_name = field.type_name.replace(".caffe.forks.", ".caffe.", 1)


def _add_comment(
    location: SourceCodeInfo.Location, message: int, start: Sequence[int], info: SourceCodeInfo
) -> None:
    """Puts a comment where its message, or a field of it, stands in the merged schema.

    Args:
        location: the comment in forks.proto. message: index of its message in the merged schema.
        start: how many fields and enums the message had before.
    """
    path = [_MESSAGES, message, *location.path[2:]]
    if path[2:3] == [_FIELDS]:
        path[3] += start[0]
    elif path[2:3] == [_ENUMS] or (len(path) == 2 and any(start)):
        return  # nobody shows comments of enums; and a message of Caffe's keeps its own
    moved = info.location.add()
    moved.CopyFrom(location)
    moved.path[:] = path


if __name__ == "__main__":
    compile_schema()

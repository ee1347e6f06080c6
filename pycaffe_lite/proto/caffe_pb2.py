"""Caffe's messages and enums, in a descriptor pool of their own.

The real Caffe, and converters that bring its schema along, register `caffe.NetParameter` and the other
names in protobuf's default pool, where a second registration is an error. Here the schema, compiled from
proto/caffe.proto and proto/forks.proto when the package is built, lives in a private pool, so both can be
used in one process.
Classes are made from descriptors at run time, which every protobuf runtime since 4.25 can do.

All messages (`NetParameter`, `SolverParameter`, ...) and top-level enums (`Phase`, with `TRAIN`, `TEST`)
are names of this module; caffe_pb2.pyi lists them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

_SCHEMA = Path(__file__).with_name("caffe.desc")


def _load(schema: Path) -> Any:
    """The file descriptor of Caffe's schema, in a new pool."""
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(schema.read_bytes())
    except FileNotFoundError:
        raise ImportError(
            f"{schema} is missing: it is made from proto/*.proto when the package is installed; "
            "in a checkout run `pip install -e .` first"
        ) from None
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool.FindFileByName(files.file[-1].name)


def _bind(name: str, message_class: Any) -> None:
    """Gives a message class its name in this module, under which pickle finds it."""
    message_class.__module__ = __name__
    globals()[name] = message_class


DESCRIPTOR = _load(_SCHEMA)
for _name, _descriptor in DESCRIPTOR.message_types_by_name.items():
    _bind(_name, message_factory.GetMessageClass(_descriptor))
for _name, _descriptor in DESCRIPTOR.enum_types_by_name.items():
    globals()[_name] = EnumTypeWrapper(_descriptor)
    for _value in _descriptor.values:
        globals()[_value.name] = _value.number

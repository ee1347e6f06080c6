"""Weights in Caffe's binary format, .caffemodel: a NetParameter whose layers hold blobs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import PycaffeError, WeightsError
from pycaffe_lite.formats import forks, kinds, wire
from pycaffe_lite.formats.atomic import StrPath, atomic_write, fingerprint, read_bytes
from pycaffe_lite.formats.model import Array, Model, StoredBlob, StoredLayer
from pycaffe_lite.formats.wire import LENGTH, VARINT, Bytes, WireError
from pycaffe_lite.formats.wireblob import blob_parts, read_blob, size_of, write_part
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.upgrade import type_of_v0, type_of_v1, upgrade_net

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

# Fields of NetParameter.
_NET_NAME, _NET_LAYERS, _NET_LAYER = 1, 2, 100
# Protocol buffers, and so Caffe, read no message larger than this.
PROTOBUF_LIMIT = 2**31 - 1


class _Fields:
    """The field numbers of one version of the layer message."""

    def __init__(self, *, name: int, type: int, bottom: int, top: int, blobs: int) -> None:
        self.name, self.type, self.bottom, self.top, self.blobs = name, type, bottom, top, blobs


_V2 = _Fields(name=1, type=2, bottom=3, top=4, blobs=7)
_V1 = _Fields(name=4, type=5, bottom=2, top=3, blobs=6)
_V0 = _Fields(name=1, type=2, bottom=-1, top=-1, blobs=50)  # inside a V1 layer, which has bottom and top
_V1_INNER_V0 = 1


def read(path: StrPath) -> Model:
    """Reads a binary weights file of any age: `layer`, or the older `layers`.

    Layers are told by name, type, bottoms, tops and blobs. Their other fields stay bytes: forks of Caffe
    give one number several meanings, and `layer_message` takes what makes sense.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is truncated or of another kind; the message names the file, and the place or the
            kind.
    """
    data = read_bytes(path, error=WeightsError)
    buffer = wire.view_of(data)
    try:
        name, layers = _read_net(buffer)
    except WireError as problem:
        wrong = kinds.wrong_kind(path, data, kinds.WEIGHTS)
        raise WeightsError(wrong or f"'{path}' is truncated or not a .caffemodel: {problem}") from None
    if not any(layer.blobs for layer in layers) and (wrong := kinds.wrong_kind(path, data, kinds.WEIGHTS)):
        raise WeightsError(wrong)
    if not layers:
        what = "holds no layers: it is not a .caffemodel" if len(data) else "is empty"
        raise WeightsError(f"'{path}' {what}")
    return Model(name, tuple(layers), source=str(path))


def _read_net(buffer: Bytes) -> tuple[str, list[StoredLayer]]:
    name, layers, versions = "", [], set()
    for field in wire.fields(buffer, 0, len(buffer)):
        if field.number == _NET_NAME and field.wire_type == VARINT:
            raise WireError(field.start, "it begins with a number, not with a net's name")
        if field.wire_type != LENGTH:
            continue
        if field.number == _NET_NAME:
            name = wire.text(buffer, field)
        elif field.number == _NET_LAYER:
            layers.append(_read_layer(buffer, field.start, field.end, _V2, 2))
        elif field.number == _NET_LAYERS:
            layers.append(_read_old_layer(buffer, field.start, field.end))
        versions.update({_NET_LAYER, _NET_LAYERS} & {field.number})
    if len(versions) == 2:
        raise WireError(0, "it has both 'layer' and the older 'layers'")
    return name, layers


def _read_old_layer(buffer: Bytes, start: int, end: int) -> StoredLayer:
    """A V1 layer, or a V0 one, which is a V1 layer that wraps the name, type and blobs once more."""
    outer = _read_layer(buffer, start, end, _V1, 1)
    for field in wire.fields(buffer, start, end):
        if field.number == _V1_INNER_V0 and field.wire_type == LENGTH:
            inner = _read_layer(buffer, field.start, field.end, _V0, 0)
            blobs = inner.blobs or outer.blobs
            return StoredLayer(
                inner.name, type_of_v0(inner.type), outer.bottom, outer.top, blobs, outer.rest, 0
            )
    return outer


def _read_layer(buffer: Bytes, start: int, end: int, numbers: _Fields, version: int) -> StoredLayer:
    names, types = [""], [""]
    bottom, top, blobs, rest = [], [], [], []
    for field in wire.fields(buffer, start, end):
        if field.number == numbers.blobs and field.wire_type == LENGTH:
            blobs.append(field)
            continue
        rest.append(field)
        if field.wire_type == LENGTH and field.number == numbers.name:
            names.append(wire.text(buffer, field))
        elif field.wire_type == LENGTH and field.number == numbers.type:
            types.append(wire.text(buffer, field))
        elif field.wire_type == VARINT and field.number == numbers.type:
            types.append(type_of_v1(field.value))
        elif field.wire_type == LENGTH and field.number == numbers.bottom:
            bottom.append(wire.text(buffer, field))
        elif field.wire_type == LENGTH and field.number == numbers.top:
            top.append(wire.text(buffer, field))
    return StoredLayer(
        names[-1],
        types[-1],
        tuple(bottom),
        tuple(top),
        tuple(_read_layer_blobs(buffer, blobs, names[-1])),
        b"".join(_whole(buffer, field) for field in rest),
        version,
    )


def _read_layer_blobs(buffer: Bytes, blobs: Sequence[wire.Field], layer: str) -> Iterator[StoredBlob]:
    for i, field in enumerate(blobs):
        try:
            yield read_blob(buffer, field.start, field.end)
        except WireError as problem:
            raise WireError(problem.position, f"{problem.problem} (blob {i} of layer '{layer}')") from None


def _whole(buffer: Bytes, field: wire.Field) -> bytes:
    """The field with its tag, as a field of its own message would be written."""
    payload = bytes(buffer[field.start : field.end])
    size = wire.varint(len(payload)) if field.wire_type == LENGTH else b""
    return wire.tag(field.number, field.wire_type) + size + payload


def read_definition(path: StrPath) -> caffe_pb2.NetParameter:
    """The net that a binary weights file describes, without its weights, in today's format.

    What our schema cannot make sense of is left out, as in `layer_message`.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is truncated or of another kind, or its layers say no more than their names.
    """
    model = read(path)
    if not any(layer.type for layer in model.layers):
        raise WeightsError(f"'{path}' holds weights by name only: it does not describe a net")
    buffer = wire.view_of(read_bytes(path, error=WeightsError))
    parts = [
        _whole(buffer, field)
        for field in wire.fields(buffer, 0, len(buffer))
        if field.number not in (_NET_LAYER, _NET_LAYERS)
    ]
    net = _parse_what_parses(caffe_pb2.NetParameter, b"".join(parts), None)
    fork = fork_of(model)
    for layer in model.layers:
        message = layer_message(layer, fork)
        if isinstance(message, caffe_pb2.LayerParameter):
            net.layer.append(message)
        else:
            if message.HasField("layer"):  # of 2013, with the blobs inside
                message.layer.ClearField("blobs")
            net.layers.append(message)
    upgrade_net(net, str(path))
    return net


def fork_of(model: Model) -> str | None:
    """The fork of Caffe with whose numbers a file was written; None where it has no fork's parameters."""
    return forks.fork_of((layer.type, layer.rest) for layer in model.layers if layer.version == 2)


def layer_message(
    layer: StoredLayer, fork: str | None = None
) -> caffe_pb2.LayerParameter | caffe_pb2.V1LayerParameter:
    """The layer's message without its blobs, with every field that our schema can make sense of.

    Args:
        layer: of a file. fork: whose file it is, see `fork_of`; without one, fields of forks are left out.
    """
    if layer.version == 2:
        return _parse_what_parses(caffe_pb2.LayerParameter, layer.rest, fork)
    return _parse_what_parses(caffe_pb2.V1LayerParameter, layer.rest, fork)


def _parse_what_parses(message_class: type[M], data: bytes, fork: str | None) -> M:
    """The message in `data`, without the fields that do not parse.

    A fork's field may share its number with one of Caffe's and hold something else.
    """
    message = message_class()
    buffer = wire.view_of(data)
    for field in wire.fields(buffer, 0, len(buffer)):
        with contextlib.suppress(DecodeError, WireError):
            part = forks.to_ours(_whole(buffer, field), message_class, fork)
            message.MergeFrom(message_class.FromString(part))
    return message


# ------------------------------------------------------------------------------------------------ writing


def write(
    path: StrPath,
    net: caffe_pb2.NetParameter,
    blobs: Sequence[Sequence[Blob]],
    *,
    diff: bool = False,
    fork: str | None = None,
    error: type[PycaffeError] = WeightsError,
) -> bytes:
    """Writes weights as Caffe does, byte for byte; the file is whole or not there.

    The arrays go from memory to the file as they are: nothing is copied.

    Args:
        path: of the file.
        net: name and layers, each without blobs.
        blobs: for each layer of `net`, its learnable blobs.
        diff: whether to write the gradients too.
        fork: the fork of Caffe that shall read the file, for a net with fields that only forks have; None:
            the first that has all of them.
        error: class of the error raised if the file cannot be written.

    Returns:
        The file's fingerprint.

    Raises:
        WeightsError: no fork has all fields of the net, or the one that was asked for lacks one.
    """
    _check_blobs(net, blobs)
    fork = forks.fork_for(net, fork)
    with atomic_write(path, error=error) as file:
        for part in _net_parts(net, blobs, diff, fork):
            write_part(file, part)
        if file.tell() > PROTOBUF_LIMIT:
            log.warning("'%s' is larger than 2 GiB: pycaffe-lite reads it, Caffe does not", path)
        return fingerprint(file)


def _check_blobs(net: caffe_pb2.NetParameter, blobs: Sequence[Sequence[Blob]]) -> None:
    if len(net.layer) != len(blobs):
        raise ValueError(f"{len(net.layer)} layers, but blobs for {len(blobs)}")
    for layer in net.layer:
        if layer.blobs:
            raise ValueError(f"layer '{layer.name}' brings blobs in its message")


def _net_parts(
    net: caffe_pb2.NetParameter, blobs: Sequence[Sequence[Blob]], diff: bool, fork: str | None
) -> Iterator[bytes | Array]:
    """The file's parts in order; fields stand in the order of their numbers, as protocol buffers has it."""
    header = caffe_pb2.NetParameter()
    header.CopyFrom(net)
    header.ClearField("layer")
    before, after = _split_at(header.SerializeToString(), _NET_LAYER)
    yield before
    for layer, its_blobs in zip(net.layer, blobs, strict=True):
        yield from _layer_parts(layer, its_blobs, diff, fork)
    yield after


def _layer_parts(
    layer: caffe_pb2.LayerParameter, blobs: Sequence[Blob], diff: bool, fork: str | None
) -> Iterator[bytes | Array]:
    message = layer.SerializeToString()
    before, after = _split_at(forks.to_fork(message, type(layer), fork) if fork else message, _V2.blobs)
    parts: list[bytes | Array] = [before]
    for blob in blobs:
        parts += blob_parts(_V2.blobs, blob.data, blob.diff if diff else None)
    parts.append(after)
    yield wire.length_head(_NET_LAYER, sum(size_of(part) for part in parts))
    yield from parts


def _split_at(message: bytes, number: int) -> tuple[bytes, bytes]:
    """A message's bytes in two: the fields numbered below `number`, and those from it on."""
    buffer = wire.view_of(message)
    pos = 0
    while pos < len(message):
        field = wire.read_field(buffer, pos, len(message))
        if field.number >= number:
            break
        pos = field.end
    return message[:pos], message[pos:]

"""A net's fields that forks of Caffe have added: refused where they change what a layer computes."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.registry import type_of
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.fork_fields import Result, fork_field, value_in
from pycaffe_lite.proto.prototxt import Document, UnknownField

# A layer's own messages that every type reads.
_COMMON = ("param", "include", "exclude", "blobs")
# MemoryData takes a transform_param as Caffe does, which does nothing to the arrays that it gets.
_UNREAD = {("MemoryData", "transform_param")}


def check_fields(document: Document[caffe_pb2.NetParameter], kept: Sequence[int]) -> None:
    """Refuses what would be computed otherwise than the text says.

    Fields that the type of their layer does not read, as a part of another type's parameters, have no effect,
    nor do those of layers that the net's state leaves out. Unknown types are left to the registry.

    Args:
        document: of the net. kept: indices of the layers that the net has.

    Raises:
        NetError: the net has a field that changes a result. LayerError: a layer has one.
    """
    net = document.message
    if not document.unknown or any(type_of(net.layer[i]) is None for i in kept):
        return
    layers = set(kept)
    scaled = {net.layer[i].bottom[0] for i in kept if net.layer[i].type == "Scale" and net.layer[i].bottom}
    for field in document.unknown:
        where = f"{document.path}:{field.line}: " if document.path else ""
        if not field.path and (refusal := _refusal(field, net.state.phase, is_scaled=False)):
            raise NetError(f"{where}{refusal}")
        if field.path[:1] != ("layer",) or field.path[1] not in layers:
            continue
        layer = net.layer[int(field.path[1])]
        phase = layer.phase if layer.HasField("phase") else net.state.phase
        refusal = _refusal(field, phase, is_scaled=any(top in scaled for top in layer.top))
        if refusal and _is_read(layer, field):
            raise LayerError(f"{where}layer '{layer.name}' ({layer.type}): {refusal}")


def _is_read(layer: caffe_pb2.LayerParameter, field: UnknownField) -> bool:
    """Whether a layer, of a known type, reads the message that a field stands in; it reads its own."""
    part = str(field.path[2]) if len(field.path) > 2 else None
    entry = type_of(layer)
    read = (None, *_COMMON, *((entry.param, *entry.layer_class.also_reads) if entry else ()))
    return part in read and (layer.type, part) not in _UNREAD


def _refusal(field: UnknownField, phase: int, *, is_scaled: bool) -> str | None:
    """Why a field is refused in a phase; None where it changes nothing. is_scaled: a Scale layer follows."""
    known = fork_field(field.message, field.name)
    if known is None:
        return None
    value = value_in(field.text)
    in_test = phase == caffe_pb2.TEST
    harmless = {
        Result.HARMLESS: True,
        Result.CHANGES: False,
        Result.CHANGES_TRAINING: in_test,
        Result.CHANGES_WITHOUT_SCALE: in_test and is_scaled,
    }
    if harmless[known.result_of(value)]:
        return None
    parts = [part for part in field.path[2:] if isinstance(part, str)]
    name = ".".join([*parts, field.name])
    return known.refusal(name if value is None else f"{name}: {value}")

"""Fields that forks of Caffe have added: a net that has one is refused if it changes what is computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.normalization.intel_batch_norm import AFFINE
from pycaffe_lite.layer.normalization.nvidia_batch_norm import is_nvidias
from pycaffe_lite.layer.registry import LayerType, type_of
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.fork_fields import Result, fork_field, value_in
from pycaffe_lite.proto.prototxt import Document, UnknownField

log = logging.getLogger(__name__)

# The messages of a layer that every type reads.
_COMMON = ("param", "include", "exclude", "blobs")


def check_fields(document: Document[caffe_pb2.NetParameter], kept: Sequence[int]) -> None:
    """Refuses a net that would be computed otherwise than its text says.

    A field has no effect if its layer's type does not read it, as in the parameters of another type, or if
    the net's state leaves its layer out. Unknown types are left to the registry.

    Args:
        document: the net's. kept: indices of the layers that the net has.

    Raises:
        NetError: the net has a field that changes a result. LayerError: a layer has one.
    """
    net = document.message
    known = {i: type_of(net.layer[i]) for i in kept} if document.unknown else {}
    types = {i: kind for i, kind in known.items() if kind is not None}
    if not types or len(types) < len(known):
        return
    for field in document.unknown:
        where = f"{document.path}:{field.line}: " if document.path else ""
        if not field.path and (refusal := _refusal(field, net.state.phase)):
            raise NetError(f"{where}{refusal}")
        if field.path[:1] != ("layer",) or field.path[1] not in types:
            continue
        layer = net.layer[int(field.path[1])]
        phase = layer.phase if layer.HasField("phase") else net.state.phase
        refusal = _refusal(field, phase)
        if refusal and _is_read(types[int(field.path[1])], field):
            raise LayerError(f"{where}layer '{layer.name}' ({layer.type}): {refusal}")


def settle_batch_norms(net: caffe_pb2.NetParameter, kept: Sequence[int]) -> None:
    """Gives the BatchNorm layers of a net for Intel's fork the parameters that it would compute with.

    The net's `bn_stats_batch_size` becomes that of each layer. A layer whose fields let it scale and shift by
    itself does not if a Scale layer follows: there the fork's engines either ignore these fields, or work the
    Scale layer into the layer.

    Args:
        net: the net, whose layers are changed. kept: indices of the layers that it has.
    """
    layers = [net.layer[i] for i in kept]
    scaled = {layer.bottom[0] for layer in layers if layer.bottom and _completes_batch_norm(layer)}
    for layer in layers:
        if layer.type != "BatchNorm":
            continue
        if net.HasField("bn_stats_batch_size"):
            layer.batch_norm_param.stats_batch_size = net.bn_stats_batch_size
        if not is_nvidias(layer) and any(top in scaled for top in layer.top):
            for name in AFFINE:
                if layer.batch_norm_param.HasField(name):
                    layer.batch_norm_param.ClearField(name)
                    log.info(
                        "layer '%s' (BatchNorm): %s has no effect, a Scale layer follows", layer.name, name
                    )


def _completes_batch_norm(layer: caffe_pb2.LayerParameter) -> bool:
    kind = type_of(layer)
    return kind is not None and kind.layer_class.completes_batch_norm


def _is_read(kind: LayerType, field: UnknownField) -> bool:
    """Whether a layer type reads the message in which a field stands; every type reads the layer itself."""
    part = str(field.path[2]) if len(field.path) > 2 else None
    read = (None, kind.param, *kind.layer_class.also_reads, *_COMMON)
    return part in read and part not in kind.layer_class.reads_without_effect


def _refusal(field: UnknownField, phase: int) -> str | None:
    """Why a field is refused in a phase; None if it changes nothing."""
    known = fork_field(field.message, field.name)
    if known is None:
        return None
    value = value_in(field.text)
    in_test = phase == caffe_pb2.TEST
    harmless = {
        Result.HARMLESS: True,
        Result.CHANGES: False,
        Result.CHANGES_TRAINING: in_test,
    }
    if harmless[known.result_of(value)]:
        return None
    parts = [part for part in field.path[2:] if isinstance(part, str)]
    name = ".".join([*parts, field.name])
    return known.refusal(name if value is None else f"{name}: {value}")

"""Bringing nets and solvers of older formats to the present one, as Caffe does at reading.

In the order in which they are applied to a net:

1. V0 layers (until 2013: one message for all types, inside `layers`) become V1 layers;
2. the transformation of V1 data layers moves from their own parameters to `transform_param`;
3. V1 layers (`layers`, types as an enum) become the present `layer`;
4. Crop layers of the first FCN nets and of CRF-RNN, which have no offset, get the one that fits;
5. `input`, `input_dim` and `input_shape` become an Input layer;
6. the three multipliers of a BatchNorm layer become 0.

Caffe applies them to nets that come from a file of their own. Those inside a solver are upgraded here too,
where Caffe drops old layers without a word.

Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.old_crops import crop_offsets
from pycaffe_lite.proto.text_parser import FieldPath
from pycaffe_lite.proto.v0_fields import V0_FIELDS, V0_TYPES

log = logging.getLogger(__name__)

_V1 = caffe_pb2.V1LayerParameter
_DATA_PARAMS = {
    _V1.DATA: "data_param",
    _V1.IMAGE_DATA: "image_data_param",
    _V1.WINDOW_DATA: "window_data_param",
    _V1.VIDEO_DATA: "image_data_param",
}
# Types of C3D 1.0, and the messages that they have there and today.
_OF_C3D = {
    _V1.CONVOLUTION3D: ("convolution_param", "convolution3d_param"),
    _V1.POOLING3D: ("pooling_param", "pooling3d_param"),
    _V1.VIDEO_DATA: ("image_data_param", "video_data_param"),
}
_TRANSFORMS = ("scale", "mean_file", "crop_size", "mirror")
# The type strings that are not the enum's words in CamelCase.
_V2_TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BN": "BN",
    "BNLL": "BNLL",
    "CONVOLUTION3D": "Convolution3D",
    "DENSE_CRF": "DenseCRF",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "L1_LOSS": "L1Loss",
    "LRN": "LRN",
    "MVN": "MVN",
    "POOLING3D": "Pooling3D",
    "PRELU": "PReLU",
    "RELU": "ReLU",
    "ROI_POOLING": "ROIPooling",
    "SMOOTH_L1_LOSS": "SmoothL1Loss",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}
_SOLVER_TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
    "SAG": "SAG",
}
# What of a net outlives the step from V0, besides its layers.
_V0_NET_FIELDS = ("name", "input", "input_dim", "force_backward")


class UpgradeError(PrototxtError):
    """A net or solver of an older format that makes no sense.

    Attributes:
        what: is wrong. path: of the field in question, in the message as it was read.
    """

    def __init__(self, name: str, what: str, path: FieldPath) -> None:
        super().__init__(f"{name}: {what}")
        self.what = what
        self.path = path


class NetUpgrade(NamedTuple):
    """What became of a net.

    Attributes:
        complete: whether all of it could be kept; what could not be is in the log.
        origins: of each layer, the path of what it was made from in the net as it was read.
    """

    complete: bool
    origins: list[FieldPath]


def net_needs_upgrade(net: caffe_pb2.NetParameter) -> bool:
    """Whether a net has anything of an older format."""
    return bool(net.layers or net.input or _old_batch_norms(net) or _open_crops(net))


def upgrade_net(net: caffe_pb2.NetParameter, name: str = "net") -> bool:
    """Brings a net to the present format, in place.

    Args:
        net: of any format, text or weights. name: of it, in the log and in errors.

    Returns:
        Whether all of it could be kept; what could not be is in the log.

    Raises:
        PrototxtError: the net makes no sense in its own format.
    """
    return upgrade_net_traced(net, name).complete


def upgrade_net_traced(net: caffe_pb2.NetParameter, name: str) -> NetUpgrade:
    """As `upgrade_net`, and tells where each layer of the result comes from.

    Raises:
        UpgradeError: the net makes no sense in its own format.
    """
    complete = True
    origins: list[FieldPath] = [("layers", i) for i in range(len(net.layers))]
    if any(layer.HasField("layer") for layer in net.layers):
        complete, origins = _v0_to_v1(net, name)
        log.info("%s: upgraded from V0 to V1 layers", name)
    if _upgrade_transforms(net):
        log.info("%s: moved transformations of data layers to their transform_param", name)
    if net.layers:
        if net.layer:
            what = "a net has either 'layer' or 'layers' (of the old V1 format), not both"
            raise UpgradeError(name, what, origins[0])
        _v1_to_v2(net, name, origins)
        _place_crops(net, range(len(net.layer)), name, origins)
        log.info("%s: upgraded V1 layers ('layers') to the present format ('layer')", name)
    else:
        origins = [("layer", i) for i in range(len(net.layer))]
        _place_crops(net, _open_crops(net), name, origins)
    if net.input:
        if _inputs_to_layer(net, name):
            origins.insert(0, ("input", 0))
            log.info("%s: made an Input layer of the net's 'input' fields", name)
        for field in ("input", "input_shape", "input_dim"):
            net.ClearField(field)
    for layer in _old_batch_norms(net):
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0
        log.info("%s: set the multipliers of BatchNorm layer '%s' to 0", name, layer.name)
    return NetUpgrade(complete, origins)


def _open_crops(net: caffe_pb2.NetParameter) -> list[int]:
    """The Crop layers whose offsets CRF-RNN's fork finds by itself, where a net is one of that fork's."""
    if not any(layer.type == "MultiStageMeanfield" for layer in net.layer):
        return []
    return [i for i, layer in enumerate(net.layer) if layer.type == "Crop" and _is_open(layer)]


def _is_open(crop: caffe_pb2.LayerParameter) -> bool:
    return not crop.HasField("crop_param")


def _place_crops(
    net: caffe_pb2.NetParameter, indices: Iterable[int], name: str, origins: list[FieldPath]
) -> None:
    """Gives those of these layers that are Crops without parameters the offsets that make them fit."""
    for i in indices:
        layer = net.layer[i]
        if layer.type != "Crop" or not _is_open(layer):
            continue
        try:
            offsets = crop_offsets(net.layer, i)
        except ValueError as error:
            raise UpgradeError(name, f"layer '{layer.name}' (Crop) {error}", origins[i]) from None
        layer.crop_param.axis = 2
        layer.crop_param.offset.extend(offsets)
        log.info("%s: layer '%s' (Crop) cuts from row %d and column %d on", name, layer.name, *offsets)


def solver_needs_upgrade(solver: caffe_pb2.SolverParameter) -> bool:
    """Whether a solver has the `solver_type` of an older format."""
    return solver.HasField("solver_type")


def upgrade_solver(solver: caffe_pb2.SolverParameter, name: str = "solver") -> None:
    """Brings a solver to the present format, in place: `solver_type`, an enum, becomes `type`.

    Args:
        solver: of any format. name: of it, in the log and in errors.

    Raises:
        UpgradeError: both are given.
    """
    if not solver.HasField("solver_type"):
        return
    if solver.HasField("type"):
        what = "a solver has either 'type' or the old 'solver_type', not both"
        raise UpgradeError(name, what, ("solver_type",))
    solver.type = _SOLVER_TYPES[caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)]
    solver.ClearField("solver_type")
    log.info("%s: upgraded 'solver_type' to type '%s'", name, solver.type)


def complete_snapshot_prefix(solver: caffe_pb2.SolverParameter, path: str | os.PathLike[str]) -> None:
    """Completes the snapshot_prefix of a solver that was read from a file, unless it names a file.

    Without one it is the solver's file without extension; a folder is completed by that file's name.

    Args:
        solver: the settings, changed in place. path: of their file.
    """
    path = Path(path)
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = str(path.with_suffix(""))
        log.info("snapshot_prefix not set; using %s", solver.snapshot_prefix)
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / path.stem)
        log.info("snapshot_prefix is a folder; using %s", solver.snapshot_prefix)


# From V0 to V1 ------------------------------------------------------------------------------


def _v0_to_v1(net: caffe_pb2.NetParameter, name: str) -> tuple[bool, list[FieldPath]]:
    """Upgrades V0 layers; whether all could be kept, and each layer's origin."""
    layers, origins = _fold_padding(net, name)
    upgraded = caffe_pb2.NetParameter()
    dropped = [f.name for f, _ in net.ListFields() if f.name not in (*_V0_NET_FIELDS, "layers")]
    if dropped:
        log.warning("%s: a net of V0 layers keeps nothing of %s", name, ", ".join(dropped))
    complete = True
    for layer, origin in zip(layers, origins, strict=True):
        complete &= _upgrade_v0_layer(layer, upgraded.layers.add(), name, origin)
    for field in _V0_NET_FIELDS:
        _copy(net, upgraded, field)
    net.CopyFrom(upgraded)
    return complete, origins


def _fold_padding(
    net: caffe_pb2.NetParameter, name: str
) -> tuple[list[caffe_pb2.V1LayerParameter], list[FieldPath]]:
    """The net's layers without those of type padding, whose pad goes to the layer behind them."""
    producers: dict[str, caffe_pb2.V1LayerParameter | None] = dict.fromkeys(net.input)
    kept: list[caffe_pb2.V1LayerParameter] = []
    origins: list[FieldPath] = []
    for i, original in enumerate(net.layers):
        path = ("layers", i)
        layer = _V1()
        layer.CopyFrom(original)
        for j, bottom in enumerate(original.bottom):
            if bottom not in producers:
                raise UpgradeError(name, f"no layer before '{original.layer.name}' makes '{bottom}'", path)
            producer = producers[bottom]
            if producer is not None and producer.layer.type == "padding":
                _check_padding(producer, original, name, path)
                layer.layer.pad = producer.layer.pad
                layer.bottom[j] = producer.bottom[0]
        if original.layer.type != "padding":
            kept.append(layer)
            origins.append(path)
        producers.update(dict.fromkeys(original.top, original))
    return kept, origins


def _check_padding(
    padding: caffe_pb2.V1LayerParameter, layer: caffe_pb2.V1LayerParameter, name: str, path: FieldPath
) -> None:
    if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1:
        what = (
            f"padding layer '{padding.layer.name}' must be followed by conv or pool with one bottom, "
            f"not by '{layer.layer.name}' ({layer.layer.type}) with {len(layer.bottom)}"
        )
        raise UpgradeError(name, what, path)
    if len(padding.bottom) != 1 or len(padding.top) != 1:
        what = (
            f"padding layer '{padding.layer.name}' must have one bottom and one top, "
            f"got {len(padding.bottom)} and {len(padding.top)}"
        )
        raise UpgradeError(name, what, path)


def _upgrade_v0_layer(
    old: caffe_pb2.V1LayerParameter, new: caffe_pb2.V1LayerParameter, name: str, path: FieldPath
) -> bool:
    """Makes a V1 layer of the V0 layer inside `old`; whether all of it could be kept."""
    for field in ("bottom", "top"):
        _copy(old, new, field)
    if not old.HasField("layer"):
        log.warning("%s: of %s[%d], no V0 layer, only bottoms and tops are kept", name, *path)
        return True
    v0 = old.layer
    for field in ("name", "blobs", "blobs_lr", "weight_decay"):
        _copy(v0, new, field)
    if v0.HasField("type"):
        if v0.type not in V0_TYPES:
            what = f"unknown type '{v0.type}' of V0 layer '{v0.name}' (known: {', '.join(V0_TYPES)})"
            raise UpgradeError(name, what, path)
        new.type = getattr(_V1, V0_TYPES[v0.type])
    complete = True
    for descriptor, value in v0.ListFields():
        targets = V0_FIELDS.get(descriptor.name)
        if targets is None:
            continue
        target = targets.get(v0.type) or targets.get("*")
        if target is None:
            log.warning(
                "%s: V0 layer '%s' of type '%s' takes no %s: dropped", name, v0.name, v0.type, descriptor.name
            )
            complete = False
        else:
            try:
                _put(new, target, value)
            except ValueError:  # a size below 0: V0 had signed ones
                what = f"V0 layer '{v0.name}' has {descriptor.name} {value}, which must not be negative"
                raise UpgradeError(name, what, path) from None
    return complete


def _put(layer: caffe_pb2.V1LayerParameter, target: str, value: Any) -> None:
    """Sets a field, given as `message.field` or `message`, to a number, string or message."""
    *outer, field = target.split(".")
    message = getattr(layer, outer[0]) if outer else layer
    old = getattr(message, field)
    if hasattr(old, "append"):
        old.append(value)
    elif hasattr(old, "CopyFrom"):
        old.CopyFrom(value)
    else:
        setattr(message, field, value)


def _copy(old: Any, new: Any, field: str) -> None:
    """Copies a field of the same type from one message to another, if it is set."""
    value = getattr(old, field)
    if hasattr(value, "append") or hasattr(value, "add"):
        getattr(new, field).MergeFrom(value)
    elif old.HasField(field):
        if hasattr(value, "CopyFrom"):
            getattr(new, field).CopyFrom(value)
        else:
            setattr(new, field, value)


# From V1 to the present -----------------------------------------------------------------------


def _upgrade_transforms(net: caffe_pb2.NetParameter) -> bool:
    """Moves the transformation out of V1 data layers' own parameters; whether there was any."""
    found = False
    for layer in net.layers:
        own = getattr(layer, _DATA_PARAMS[layer.type]) if layer.type in _DATA_PARAMS else None
        for field in _TRANSFORMS:
            if own is not None and own.HasField(field):
                setattr(layer.transform_param, field, getattr(own, field))
                own.ClearField(field)
                found = True
    return found


def type_of_v1(number: int) -> str:
    """The type string of today for a V1 layer's type; empty if the number is none of theirs."""
    value = _V1.LayerType.DESCRIPTOR.values_by_number.get(number)
    words = value.name if value else "NONE"
    return _V2_TYPES.get(words, "".join(word.capitalize() for word in words.split("_")))


def type_of_v0(name: str) -> str:
    """The type string of today for a V0 layer's type; the name itself if there is none."""
    return type_of_v1(getattr(_V1, V0_TYPES[name])) if name in V0_TYPES else name


def _v1_to_v2(net: caffe_pb2.NetParameter, name: str, origins: list[FieldPath]) -> None:
    for old, origin in zip(net.layers, origins, strict=True):
        new = net.layer.add()
        for descriptor, _ in old.ListFields():
            field = descriptor.name
            if field not in ("type", "param", "blob_share_mode", "blobs_lr", "weight_decay", "layer"):
                _copy(old, new, field)
        if old.HasField("type"):
            new.type = type_of_v1(old.type)
            if old.type in _OF_C3D:
                _move_param(new, *_OF_C3D[old.type], name, origin)
        _copy_specs(new, "name", old.param)
        _copy_specs(new, "share_mode", old.blob_share_mode)
        _copy_specs(new, "lr_mult", old.blobs_lr)
        _copy_specs(new, "decay_mult", old.weight_decay)
    net.ClearField("layers")


def param_of_today(kind: str, param: str | int) -> str | int:
    """The name that a message of a V1 layer has today, in a layer of a type as it is called today."""
    for old_kind, (old, new) in _OF_C3D.items():
        if param == old and kind == type_of_v1(old_kind):
            return new
    return param


def _move_param(layer: caffe_pb2.LayerParameter, old: str, new: str, name: str, origin: FieldPath) -> None:
    """Gives a layer the message that its type has today, with the fields of the one that it had."""
    source, target = getattr(layer, old), getattr(layer, new)
    target.SetInParent()
    for descriptor, value in source.ListFields():
        field = descriptor.name
        if field not in target.DESCRIPTOR.fields_by_name:
            what = f"layer '{layer.name}' ({layer.type}) has no {old}.{field}: remove it"
            raise UpgradeError(name, what, (*origin, old, field))
        if descriptor.is_repeated:  # where the fork has one number
            if len(value) != 1:
                what = f"layer '{layer.name}' ({layer.type}) takes one {old}.{field}, got {len(value)}"
                raise UpgradeError(name, what, (*origin, old, field))
            setattr(target, field, value[0])
        elif descriptor.message_type is not None:
            getattr(target, field).CopyFrom(value)
        else:
            setattr(target, field, value)
    layer.ClearField(old)


def _copy_specs(layer: caffe_pb2.LayerParameter, field: str, values: Sequence[Any]) -> None:
    """Sets a field of each learnable blob's ParamSpec, making as many as there are values."""
    while len(layer.param) < len(values):
        layer.param.add()
    for spec, value in zip(layer.param, values, strict=False):
        setattr(spec, field, value)


# Smaller steps ----------------------------------------------------------------------------------


def _inputs_to_layer(net: caffe_pb2.NetParameter, name: str) -> bool:
    """Puts an Input layer first, and says whether there was anything to put there.

    Old weight files have `input` without any shape: nothing can be made of it.
    """
    if not net.input_shape and not net.input_dim:
        return False
    given, needed = len(net.input_shape), len(net.input)
    what = "input_shape"
    if not net.input_shape:
        given, needed, what = len(net.input_dim), 4 * len(net.input), "input_dim"
    if given < needed:
        raise UpgradeError(name, f"{len(net.input)} input need {needed} {what}, got {given}", ("input", 0))
    layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
    for i in range(len(net.input)):
        shape = layer.input_param.shape.add()
        if net.input_shape:
            shape.CopyFrom(net.input_shape[i])
        else:
            shape.dim.extend(net.input_dim[4 * i : 4 * i + 4])
    others = list(net.layer)
    net.ClearField("layer")
    net.layer.extend([layer, *others])
    return True


def _old_batch_norms(net: caffe_pb2.NetParameter) -> list[caffe_pb2.LayerParameter]:
    """The BatchNorm layers with three multipliers that are not given as 0.

    Old files list three; they are no learnable parameters but running sums, which a solver must leave.
    """
    return [
        layer
        for layer in net.layer
        if layer.type == "BatchNorm"
        and len(layer.param) == 3
        and any(spec.lr_mult != 0 or spec.decay_mult != 0 for spec in layer.param)
    ]

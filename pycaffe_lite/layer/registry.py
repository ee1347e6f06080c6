"""The registry: from the type string of a prototxt to the class that runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.missing_types import why_missing
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

L = TypeVar("L", bound=type[Layer[Any]])


class LayerType(NamedTuple):
    """A registered type, or one form of it.

    Attributes:
        layer_class: what runs it. param: the field of LayerParameter that holds its own parameters.
        origin: whose type it is: Caffe's, or a fork's.
        applies: for a form that not all layers of this type have, whether one has it.
    """

    layer_class: type[Layer[Any]]
    param: str | None
    origin: str = "Caffe"
    applies: Callable[[caffe_pb2.LayerParameter], bool] | None = None


_types: dict[str, LayerType] = {}
# Forks gave one name to several layers: these are the forms that are told by what the layer says.
_forms: dict[str, list[LayerType]] = {}


def register_layer(
    name: str,
    param: str | None = None,
    *,
    origin: str = "Caffe",
    applies: Callable[[caffe_pb2.LayerParameter], bool] | None = None,
) -> Callable[[L], L]:
    """Registers a class as the layer type `name`.

    Args:
        name: the type string of prototxt files, `InnerProduct`.
        param: the field of LayerParameter with the type's parameters, `inner_product_param`; None if the
            type has none.
        origin: whose type it is, in words: the fork that has it.
        applies: for one of several layers that bear this name, whether it is the one that a layer's message
            means. One class of the name is registered without it: for the messages to which no other applies.
    """

    def register(layer_class: L) -> L:
        entry = LayerType(layer_class, param, origin, applies)
        if applies is not None:
            _forms.setdefault(name, []).append(entry)
        elif name in _types:
            raise ValueError(f"layer type {name!r} is registered twice")
        else:
            _types[name] = entry
        return layer_class

    return register


def type_of(layer_param: caffe_pb2.LayerParameter) -> LayerType | None:
    """The type of a layer, in the form that its message means; None where there is no such type."""
    for form in _forms.get(layer_param.type, ()):
        if form.applies is not None and form.applies(layer_param):
            return form
    return _types.get(layer_param.type)


def forms_of(name: str) -> list[LayerType]:
    """All layers that bear the name of a known type."""
    return [_types[name], *_forms.get(name, ())]


def layer_type_list() -> list[str]:
    """The known layer types, in alphabetical (byte) order."""
    return sorted(_types)


def layer_types() -> dict[str, LayerType]:
    """The known layer types by name, in alphabetical order."""
    return {name: _types[name] for name in layer_type_list()}


def create_layer(layer_param: caffe_pb2.LayerParameter, context: LayerContext) -> Layer[Any]:
    """Makes the layer that `layer_param` describes, without setting it up.

    Parameters of another type have no effect, as in Caffe; the log says so.

    Raises:
        LayerError: there is no such type; the message says whose it is, or which one may be meant.
    """
    entry = type_of(layer_param)
    if entry is None:
        why = why_missing(layer_param.type, _types)
        raise LayerError(f"{context.where}layer '{layer_param.name}': {why}")
    for field, _ in layer_param.ListFields():
        known = field.name in (entry.param, *entry.layer_class.also_reads)
        if field.name.endswith("_param") and not known:
            where = f"layer '{layer_param.name}' ({layer_param.type})"
            log.warning("%s: %s has no effect on this type", where, field.name)
    param = getattr(layer_param, entry.param) if entry.param else None
    return entry.layer_class(layer_param, param, context)

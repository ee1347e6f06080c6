"""The registry: from the type string of a prototxt to the class that runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer import plugins
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.later import MODULE_OF
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
# What is wrong with installed packages that bring a type.
_broken: dict[str, str] = {}


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
        elif name in _types or MODULE_OF.get(name, layer_class.__module__) != layer_class.__module__:
            raise ValueError(f"layer type {name!r} is registered twice")
        else:
            _types[name] = entry
        return layer_class

    return register


def type_of(layer_param: caffe_pb2.LayerParameter) -> LayerType | None:
    """The type of a layer, in the form that its message means; None where there is no such type.

    A type that is unknown is looked for among those that installed packages bring.
    """
    if not _is_registered(layer_param.type):
        _load(layer_param.type)
    for form in _forms.get(layer_param.type, ()):
        if form.applies is not None and form.applies(layer_param):
            return form
    return _types.get(layer_param.type)


def _is_registered(name: str) -> bool:
    """Whether a type is; if its module has not been imported, it is now."""
    if name not in _types and name in MODULE_OF:
        import_module(MODULE_OF[name])
    return name in _types


def _load(name: str) -> None:
    """Has the installed package that brings a type register it; what is wrong with it is kept."""
    problem = plugins.load(name)
    package = plugins.package_of(name)
    if name in _types and _types[name].origin == "Caffe":
        _types[name] = _types[name]._replace(origin=package)
    elif problem is None and package and name not in _types:
        problem = f"{package} brings it, but registers no layer type of this name"
    _broken.pop(name, None)
    if problem is not None:
        _broken[name] = problem


def load_plugins() -> None:
    """Registers all types that installed packages bring; the log says which packages are broken."""
    for name in plugins.names():
        if not _is_registered(name):
            _load(name)
        if name in _broken:
            log.warning("layer type '%s': %s", name, _broken[name])


def forms_of(name: str) -> list[LayerType]:
    """All layers that bear the name of a known type."""
    _is_registered(name)
    return [_types[name], *_forms.get(name, ())]


def layer_type_list(*, forks: bool = False) -> list[str]:
    """Caffe's layer types and those that the program has registered, in alphabetical (byte) order.

    Args:
        forks: whether to name those of Caffe's forks and of installed packages as well.
    """
    if forks:
        for name in MODULE_OF:
            _is_registered(name)
    return sorted(name for name, entry in _types.items() if forks or entry.origin == "Caffe")


def layer_types() -> dict[str, LayerType]:
    """All known layer types by name, in alphabetical order."""
    return {name: _types[name] for name in layer_type_list(forks=True)}


def why_unknown(name: str) -> str:
    """The message about a type that is not registered."""
    if name in _broken:
        return f"layer type '{name}' is not there: {_broken[name]}"
    return why_missing(name, {*_types, *MODULE_OF, *plugins.names()})


def create_layer(layer_param: caffe_pb2.LayerParameter, context: LayerContext) -> Layer[Any]:
    """Makes the layer that `layer_param` describes, without setting it up.

    Parameters of another type have no effect, as in Caffe; the log says so.

    Raises:
        LayerError: there is no such type; the message says whose it is, or which one may be meant.
    """
    entry = type_of(layer_param)
    if entry is None:
        why = why_unknown(layer_param.type)
        raise LayerError(f"{context.where}layer '{layer_param.name}': {why}")
    for field, _ in layer_param.ListFields():
        known = field.name in (entry.param, *entry.layer_class.also_reads)
        if field.name.endswith("_param") and not known:
            where = f"layer '{layer_param.name}' ({layer_param.type})"
            log.warning("%s: %s has no effect on this type", where, field.name)
    param = getattr(layer_param, entry.param) if entry.param else None
    return entry.layer_class(layer_param, param, context)

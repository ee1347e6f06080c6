"""Which function converts which layer type, and why some types have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.layer.utility.python import PythonLayer, PythonLayerBase

Converter = Callable[[LayerGraph, Any], str | Sequence[str]]
C = TypeVar("C", bound=Callable[..., str | Sequence[str]])

_converters: dict[type, Converter] = {}
_for_opencv: dict[type, Converter] = {}
_reasons: dict[type, str] = {}


def converts(*classes: type, opencv: bool = False) -> Callable[[C], C]:
    """Registers the converter of layer classes.

    A converter gets the graph, as one layer sees it, and the layer, which is set up and shaped. It adds nodes
    and returns the name of what each top is, in order; a single name may stand without a list around it.

    Args:
        classes: of layers; subclasses are not meant. Python layers are known by the user's own class.
        opencv: whether it is for OpenCV only.
    """

    def register(converter: C) -> C:
        for layer_class in classes:
            (_for_opencv if opencv else _converters)[layer_class] = converter
        return converter

    return register


def refuses(reason: str, *classes: type) -> None:
    """Says why layer classes cannot be exported: words to follow "layer 'x' (Type): ", and a full stop."""
    for layer_class in classes:
        _reasons[layer_class] = reason


def converter_of(layer_class: type, target: str) -> Converter | None:
    """The converter of a layer class: for OpenCV its own, if it has one."""
    own = _for_opencv.get(layer_class) if target == "opencv5" else None
    return own or _converters.get(layer_class)


def reason_of(layer_class: type) -> str:
    """Why a layer class has no converter."""
    if issubclass(layer_class, PythonLayerBase) and layer_class not in _reasons:
        return _reasons[PythonLayer]
    return _reasons.get(layer_class, "pycaffe-lite has no converter to ONNX for this type")

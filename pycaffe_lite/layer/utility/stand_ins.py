"""Stand-ins: Python layers of modules that many nets name without bringing them along."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

T = TypeVar("T", bound=type)

_stand_ins: dict[str, ModuleType] = {}

# Modules that nobody can stand in for, and what to do without them.
_OF_THE_USERS_DATA = {
    "roi_data_layer": "it reads pictures and boxes of a data set of yours: give the net Input layers with "
    "its tops (data, im_info and gt_boxes with HAS_RPN) and write into their blobs, or write a Python layer",
}


def register_stand_in(module: str) -> Callable[[T], T]:
    """Registers a layer's class, under its own name, as one of a module that may be missing."""

    def register(layer_class: T) -> T:
        stand_in = _stand_ins.setdefault(module, ModuleType(module, f"Stand-in for {module}."))
        setattr(stand_in, layer_class.__name__, layer_class)
        return layer_class

    return register


def stand_in_for(module: str) -> ModuleType | None:
    """What takes the place of a module, if anything does."""
    return _stand_ins.get(module)


def is_of_users_data(module: str) -> bool:
    """Whether a module reads data that only its user has."""
    return module.partition(".")[0] in _OF_THE_USERS_DATA


def why_needed(module: str) -> str:
    """Why there is no stand-in for a module: whose it is."""
    return _OF_THE_USERS_DATA.get(
        module.partition(".")[0], "it belongs to the net: take it from where the net comes from"
    )

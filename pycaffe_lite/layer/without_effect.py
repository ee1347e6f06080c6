"""Fields of a message that a type shares with others and does not read itself: logged, or refused."""

from __future__ import annotations

import logging
from typing import Any

from google.protobuf.message import Message

from pycaffe_lite.layer.base import Layer

log = logging.getLogger(__name__)


def note_without_effect(
    layer: Layer[Any], *names: str, because: str = "", param: Message | None = None
) -> None:
    """Logs which of these fields a layer's parameters have.

    Args:
        layer: of whom to speak. names: the fields. because: why they have no effect, in words.
        param: the message that has them; None for the type's own.
    """
    if found := _given(layer.param if param is None else param, names):
        has = "has" if len(found) == 1 else "have"
        why = f": {because}" if because else ", as in the fork"
        log.info("%s: %s %s no effect%s", layer.where(), ", ".join(found), has, why)


def refuse_fields(layer: Layer[Any], *names: str) -> None:
    """Refuses fields that the type does not have in its fork, where they would change other types' results.

    Raises:
        LayerError: the layer's parameters have one of them.
    """
    if found := _given(layer.param, names):
        raise layer.error(f"{', '.join(found)}: layers of this type have no such field; remove it")


def _given(param: Message, names: tuple[str, ...]) -> list[str]:
    given = {field.name for field, _ in param.ListFields()}
    return [name for name in names if name in given]

"""Fields that a type accepts, as its fork does, but that change nothing."""

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
    given = {field.name for field, _ in (layer.param if param is None else param).ListFields()}
    found = [name for name in names if name in given]
    if found:
        has = "has" if len(found) == 1 else "have"
        why = f": {because}" if because else ", as in the fork"
        log.info("%s: %s %s no effect%s", layer.where(), ", ".join(found), has, why)

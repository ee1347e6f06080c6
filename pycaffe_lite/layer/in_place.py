"""The check of layer types that cannot write their top over their bottom."""

from __future__ import annotations

from typing import Any

from pycaffe_lite.layer.base import Blobs, Layer


def refuse_in_place(layer: Layer[Any], bottom: Blobs, top: Blobs) -> None:
    """Raises LayerError if a top is also a bottom."""
    if any(y is x for y in top for x in bottom):
        raise layer.error("does not work in place: give its top a name of its own")

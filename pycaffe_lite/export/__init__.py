"""Nets on their way out, to ONNX, folded, as nets to deploy, as arrays; and models of ONNX on their way in.

The parts are loaded when they are first asked for, so that `import pycaffe_lite` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pycaffe_lite.export.folding import fold as fold
    from pycaffe_lite.export.importing.translate import from_onnx as from_onnx
    from pycaffe_lite.export.onnx.model import to_onnx as to_onnx

# The module of each public name.
_HOMES = {
    "fold": "pycaffe_lite.export.folding",
    "from_onnx": "pycaffe_lite.export.importing.translate",
    "to_onnx": "pycaffe_lite.export.onnx.model",
}

__all__ = ["fold", "from_onnx", "to_onnx"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)

"""The `engine` field of layers for which Caffe has a second implementation, by cuDNN."""

from __future__ import annotations

import logging
from typing import Any

from pycaffe_lite.layer.base import Layer

log = logging.getLogger(__name__)

CUDNN = 2  # in every message that has an engine
_said: set[str] = set()


def note_engine(layer: Layer[Any]) -> None:
    """Logs, once for each layer type, that `engine: CUDNN` changes nothing here."""
    if layer.param.engine == CUDNN and layer.type not in _said:
        _said.add(layer.type)
        log.warning(
            "layer '%s' (%s): engine CUDNN is not available, its own kernels run", layer.name, layer.type
        )

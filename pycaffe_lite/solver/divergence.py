"""Where a net's numbers stopped being finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.net import Net


def origin_in_forward(net: Net) -> str:
    """The first layer that made a NaN or an infinity in the forward pass just done, in words."""
    for node in net.graph.nodes:
        for i, blob in enumerate(node.layer.blobs):
            if not _finite(blob.data):
                return f"blob {i} of {_named(node.layer)} is no longer finite"
        for blob, blob_id in zip(node.top, node.top_ids, strict=True):
            if not _finite(blob.data):
                in_place = [
                    _named(other.layer)
                    for other in net.graph.nodes
                    if other is not node and blob_id in other.top_ids
                ]
                also = f" or, in place, by {' or '.join(in_place)}" if in_place else ""
                name = net.graph.blob_names[blob_id]
                return f"it arose in top blob '{name}', made by {_named(node.layer)}{also}"
    return "it arose in the sum of the losses"


def origin_in_backward(net: Net) -> str:
    """The first layer, from the last one back, whose gradients are not finite after an update, in words."""
    for node in reversed(net.graph.nodes):
        gradients = [blob.diff for blob in node.layer.blobs]
        gradients += [
            blob.diff for blob, wanted in zip(node.bottom, node.bottom_need_backward, strict=True) if wanted
        ]
        if node.need_backward and not all(_finite(gradient) for gradient in gradients):
            return f"it arose in the gradients of {_named(node.layer)}"
    for node in net.graph.nodes:
        if not all(_finite(blob.data) for blob in node.layer.blobs):
            return f"it arose in the update of {_named(node.layer)}"
    return "it arose in the update"


def _finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _named(layer: Layer[Any]) -> str:
    return f"layer '{layer.name}' ({layer.type})"

"""Random values for a net's inputs and weights, for checks from which zeros would hide mistakes."""

from __future__ import annotations

import math

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net


def fill_inputs(net: Net) -> None:
    """Fills each input with values from the main random stream: normal ones if it may have a gradient.

    Other inputs are labels, sequence flags or indices: they get zeros and ones, which serve as any of these.
    """
    for blob_id in net.graph.inputs:
        blob = net.graph.blobs[blob_id]
        if not blob.count:
            continue
        if _may_have_gradient(net, blob_id):
            blob.data[...] = random.stream().normal(blob.count, 0, 1).reshape(blob.shape)
        else:
            blob.data[...] = random.stream().bernoulli(blob.count, 0.5).reshape(blob.shape)


def fill_zero_blobs(net: Net) -> None:
    """Fills learnable blobs that are all zero with small normal values, since zeros would hide mistakes.

    Blobs by which is divided get ones: a BatchNorm layer that has seen no batch gets a variance of 1.
    """
    for layer in net.layers:
        for i, blob in enumerate(layer.blobs):
            if not blob.count or blob.data.any():
                continue
            if i in layer.divisor_blobs:
                blob.data.fill(1)
            else:
                values = random.stream().normal(blob.count, 0, _deviation(blob))
                blob.data[...] = values.reshape(blob.shape)


def _deviation(blob: Blob) -> float:
    """A standard deviation that keeps what the blob transforms at its size; for vectors, a tenth."""
    return 0.1 if len(blob.shape) < 2 else math.sqrt(blob.shape[0] / blob.count)


def _may_have_gradient(net: Net, blob_id: int) -> bool:
    """Whether any layer that reads a blob, directly or passed on, could give it a gradient."""
    for node in net.graph.nodes:
        for i, bottom_id in enumerate(node.bottom_ids):
            if bottom_id != blob_id:
                continue
            if not node.layer.passes_values_on:
                if _allows_gradient(node, i):
                    return True
            elif any(_may_have_gradient(net, top) for top in node.top_ids if top != blob_id):
                return True
    return False


def _allows_gradient(node: Node, index: int) -> bool:
    propagate_down = node.layer.layer_param.propagate_down
    return node.layer.allow_force_backward(index) and (not propagate_down or propagate_down[index])

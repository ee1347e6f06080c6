"""What looks like a mistake in a net, found without running it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pycaffe_lite.data.database import open_database
from pycaffe_lite.data.image_list import read_list
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.layer.normalization.batch_norm import BatchNormLayer
from pycaffe_lite.layer.vision.base_convolution import BaseConvolutionLayer
from pycaffe_lite.layer.vision.deconvolution import DeconvolutionLayer
from pycaffe_lite.net.graph import Node
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.view.shaped import ShapedNet

# Layers whose tops are there to be read by people, or by whoever runs the net.
_REPORTS = frozenset(
    {
        *("Accuracy", "ArgMax", "DetectionEvaluate", "DetectionOutput", "LabelsequenceAccuracy"),
        *("SegAccuracy", "Python"),
    }
)
_SOFTMAX_LOSSES = frozenset({"SoftmaxWithLoss", "SoftmaxWithLossOHEM", "FocalLoss"})
# The layers whose learnable blobs are statistics, which no solver changes.
_STATISTICS = frozenset({"BatchNorm"})


def suspicions(shaped: ShapedNet) -> list[str]:
    """What is suspicious in a net, a sentence each, in the order of its layers."""
    names = shaped.blob_names()
    has_loss = any(any(node.layer.loss_weights) for node in shaped.net.graph.nodes)
    found = [
        *_unread(shaped, names, has_loss),
        *(text for node in shaped.nodes for text in _of_layer(node, has_loss)),
        *_double_softmax(shaped, names),
        *(text for node in shaped.nodes for text in _uneven_batches(shaped, node)),
    ]
    return list(dict.fromkeys(found))


def _unread(shaped: ShapedNet, names: list[str], has_loss: bool) -> Iterator[str]:
    """Blobs that no layer reads, where they are no results: data, and what stands beside a loss in TRAIN."""
    graph = shaped.net.graph
    is_training = has_loss and shaped.net.phase == caffe_pb2.TRAIN
    outputs = set(graph.outputs)
    for node in graph.nodes:
        layer = node.layer
        for i, weight in zip(node.top_ids, layer.loss_weights, strict=True):
            is_result = bool(weight) or layer.is_loss or layer.type in _REPORTS
            if i in outputs and not is_result and (is_training or not node.bottom):
                what = f"No layer reads blob '{names[i]}', which layer '{layer.name}' makes"
                yield f"{what}; a Silence layer says that it is meant to be so."


def _of_layer(node: Node, has_loss: bool) -> Iterator[str]:
    layer: Any = node.layer
    where = f"Layer '{layer.name}' ({layer.type})"
    if any(layer.loss_weights) and not node.need_backward:
        yield f"{where} is a loss without a backward path: no learnable blob gets a gradient from it."
    if has_loss and layer.blobs and layer.type not in _STATISTICS:
        multipliers = [spec.lr_mult if spec.HasField("lr_mult") else 1.0 for spec in layer.layer_param.param]
        multipliers += [1.0] * (len(layer.blobs) - len(multipliers))
        if not any(multipliers[: len(layer.blobs)]):
            yield f"{where} learns nothing: lr_mult is 0 for all its learnable blobs."
    yield from _large_kernel(node, where)
    in_test = isinstance(layer, BatchNormLayer) and layer.phase == caffe_pb2.TEST
    if in_test and not layer.use_global_stats:
        yield (
            f"{where} has use_global_stats: false in phase TEST: it normalises by the batch at hand, "
            "not by what it has learnt."
        )


def _large_kernel(node: Node, where: str) -> Iterator[str]:
    layer: Any = node.layer
    if isinstance(layer, BaseConvolutionLayer) and not isinstance(layer, DeconvolutionLayer):
        reach, sizes = layer.window.reach(), node.bottom[0].shape[layer.axis + 1 :]
    elif layer.type == "Pooling" and not layer.param.global_pooling:
        reach, sizes = layer.kernel, node.bottom[0].shape[2:]
    else:
        return
    if any(r > n for r, n in zip(reach, sizes, strict=True)):
        kernel, bottom = ("x".join(map(str, numbers)) for numbers in (reach, sizes))
        yield f"{where} has a kernel that reaches over {kernel}, more than its input of {bottom}."


def _double_softmax(shaped: ShapedNet, names: list[str]) -> Iterator[str]:
    makers: dict[str, Node] = {}
    for node in shaped.nodes:
        layer = node.layer
        maker = makers.get(names[node.bottom_ids[0]]) if node.bottom_ids else None
        if maker is not None and layer.type in _SOFTMAX_LOSSES and maker.layer.type == "Softmax":
            yield (
                f"Layer '{layer.name}' ({layer.type}) computes a softmax of its own, and reads that of layer "
                f"'{maker.layer.name}': give it the scores before that layer."
            )
        if maker is not None and layer.passes_values_on and len(node.bottom_ids) == 1:
            makers.update({names[i]: maker for i in node.top_ids})
        else:
            makers.update({names[i]: node for i in node.top_ids})


def _uneven_batches(shaped: ShapedNet, node: Node) -> Iterator[str]:
    """A batch size that does not divide the data set: some batches of an epoch reach into the next."""
    layer: Any = node.layer
    folder = layer.context.folder
    try:
        if layer.type == "Data":
            count = open_database(resolve(layer.param.source, folder), layer.param.backend).count()
        elif layer.type == "ImageData":
            count = len(read_list(resolve(layer.param.source, folder)).names)
        else:
            return
    except PycaffeError:
        return  # whoever runs the net is told
    if batch := count % layer.param.batch_size:
        yield (
            f"Layer '{layer.name}' ({layer.type}) reads {count} items in batches of "
            f"{layer.param.batch_size}: {batch} are left over, so that batches reach into the next round."
        )

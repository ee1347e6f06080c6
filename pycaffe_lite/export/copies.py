"""Copies of nets to be exported: their data layers are inputs, and nobody else uses their blobs."""

from __future__ import annotations

import numpy as np

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.data.dummy_data import DummyDataLayer
from pycaffe_lite.layer.data.hdf5_output import HDF5OutputLayer
from pycaffe_lite.layer.data.input import InputLayer
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document
from pycaffe_lite.view.shaped import clear_fillers


def net_for_export(net: Net, batch: int | str | None = None, *, writes_files: bool = False) -> Net:
    """A copy of a net in its phase, float32, with Input layers for its data layers.

    It shares the weights of a float32 net.

    Args:
        net: the net. batch: the first length of its inputs; None for its own.
        writes_files: whether detection layers shall write files, as their `save_output_param` says.

    Raises:
        ArgumentError: the batch size is not a number above 0.
    """
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise ArgumentError(f"a batch has 1 item or more, or is 'dynamic', got {batch!r}")
    message = net.to_proto()
    message.state.phase = caffe_pb2.TRAIN if net.phase == caffe_pb2.TRAIN else caffe_pb2.TEST
    for layer, node in zip(message.layer, net.graph.nodes, strict=True):
        clear_fillers(layer)
        for name in ("detection_output_param", "frcnn_output_param"):
            if layer.HasField(name) and not writes_files:
                getattr(layer, name).ClearField("save_output_param")
        layer.ClearField("include")
        layer.ClearField("exclude")
        if is_source(node):
            _make_input(layer, node)
    copy = Net.from_document(Document(message, net.file))
    for mine, own in zip(copy.layers, net.layers, strict=True):
        for blob, values in zip(mine.blobs, own.blobs, strict=True):
            if net.dtype == np.float32:
                blob.share_data(values)
            else:
                blob.data[...] = values.data
    for i, k in zip(copy.graph.inputs, _input_blobs(net), strict=True):
        shape = net.graph.blobs[k].shape
        if isinstance(batch, int) and shape and shape[0] == _first_length(net):
            shape = (batch, *shape[1:])
        copy.graph.blobs[i].reshape(shape)
    copy.reshape()
    return copy


def is_source(node: Node) -> bool:
    """Whether a layer's tops come from outside of the net."""
    layer = node.layer
    if isinstance(layer, DummyDataLayer):
        return any(filler.type != "constant" for filler in layer.fillers)
    is_data = type(layer).__module__.startswith("pycaffe_lite.layer.data.")
    return is_data and not isinstance(layer, HDF5OutputLayer)


def _input_blobs(net: Net) -> list[int]:
    return [i for node in net.graph.nodes if is_source(node) for i in node.top_ids]


def _first_length(net: Net) -> int:
    """The batch size: the first length of the first input."""
    blobs = _input_blobs(net)
    shape = net.graph.blobs[blobs[0]].shape if blobs else ()
    return shape[0] if shape else 0


def _make_input(layer: caffe_pb2.LayerParameter, node: Node) -> None:
    if isinstance(node.layer, InputLayer):
        return
    layer.type = "Input"
    for part, _ in layer.ListFields():
        if part.name.endswith("_param"):
            layer.ClearField(part.name)
    for blob in node.top:
        layer.input_param.shape.add().dim.extend(blob.shape)

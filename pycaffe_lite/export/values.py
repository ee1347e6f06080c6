"""A net as layers and values: each value is made once, also where layers work in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.graph import AUTO_TOP_NAME
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document


@dataclass(eq=False)
class Value:
    """What a layer makes: its name, and its shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(eq=False)
class Piece:
    """A layer of a net that is being changed.

    Attributes:
        layer: as it is in the net, set up. message: of the layer to be; its bottoms and tops are not used.
        bottoms, tops: the values. blobs: the learnable blobs to be.
    """

    layer: Layer[Any]
    message: caffe_pb2.LayerParameter
    bottoms: list[Value]
    tops: list[Value]
    blobs: list[Array] = field(default_factory=list)


class Pieces:
    """A net taken apart, to be changed and put together again.

    Split layers that the net has put in are left out.

    Args:
        net: the net; it stays as it is, and its blobs' arrays are the pieces' until they get others.
    """

    def __init__(self, net: Net) -> None:
        self._net = net
        self.pieces: list[Piece] = []
        latest: dict[int, Value] = {}
        for node in net.graph.nodes:
            param = node.layer.layer_param
            if is_inserted_split(param):
                source = latest[node.bottom_ids[0]]
                latest.update(dict.fromkeys(node.top_ids, source))
                continue
            message = caffe_pb2.LayerParameter()
            message.CopyFrom(param)
            message.ClearField("blobs")
            bottoms = [latest[i] for i in node.bottom_ids]
            tops = [Value(net.graph.blob_names[i], net.graph.blobs[i].shape) for i in node.top_ids]
            latest.update(zip(node.top_ids, tops, strict=True))
            self.pieces.append(Piece(node.layer, message, bottoms, tops, [b.data for b in node.layer.blobs]))

    def maker(self, value: Value) -> Piece | None:
        """The layer that makes a value."""
        return next((piece for piece in self.pieces if value in piece.tops), None)

    def readers(self, value: Value) -> list[Piece]:
        """The layers that read a value, each as often as it does."""
        return [piece for piece in self.pieces for bottom in piece.bottoms if bottom is value]

    def to_net(self) -> Net:
        """The net that the pieces make, in the phase of the old one."""
        message = caffe_pb2.NetParameter(name=self._net.name)
        message.state.phase = caffe_pb2.TRAIN if self._net.phase == caffe_pb2.TRAIN else caffe_pb2.TEST
        for piece in self.pieces:
            layer = message.layer.add()
            layer.CopyFrom(piece.message)
            layer.ClearField("bottom")
            layer.ClearField("top")
            layer.bottom.extend(value.name for value in piece.bottoms)
            layer.top.extend(value.name for value in piece.tops if value.name != AUTO_TOP_NAME)
        net = Net.from_document(Document(message, self._net.file))
        for own, piece in zip(
            (n for n in net.layers if not is_inserted_split(n.layer_param)), self.pieces, strict=True
        ):
            for blob, values in zip(own.blobs, piece.blobs, strict=True):
                blob.data[...] = np.asarray(values).reshape(blob.shape)
        return net

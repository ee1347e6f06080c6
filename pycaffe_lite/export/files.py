"""A net as the files that Caffe reads."""

from __future__ import annotations

from pathlib import Path

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.layer.registry import type_of
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import is_inserted_split
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import text_of


def prototxt_of(net: Net) -> caffe_pb2.NetParameter:
    """A net's message as somebody would write it: without the Split layers that the net has put in."""
    message = caffe_pb2.NetParameter(name=net.name)
    originals: dict[str, str] = {}
    for node in net.graph.nodes:
        param = node.layer.layer_param
        if is_inserted_split(param):
            originals.update(dict.fromkeys(param.top, originals.get(param.bottom[0], param.bottom[0])))
            continue
        layer = message.layer.add()
        layer.CopyFrom(without_fillers(param, empty_ones=True))
        for name in ("blobs", "phase"):
            layer.ClearField(name)
        for i, bottom in enumerate(param.bottom):
            layer.bottom[i] = originals.get(bottom, bottom)
    return message


def without_fillers(layer: caffe_pb2.LayerParameter, *, empty_ones: bool = False) -> caffe_pb2.LayerParameter:
    """A copy of a layer without fillers, which trained weights do not need.

    Those stay by which types of one name are told apart.

    Args:
        layer: the layer. empty_ones: whether to clear only those that say nothing.
    """
    result, kind = caffe_pb2.LayerParameter(), type_of(layer)
    result.CopyFrom(layer)
    for part, value in layer.ListFields():
        if (
            part.name == "dummy_data_param"
            or not part.name.endswith("_param")
            or not hasattr(value, "ListFields")
        ):
            continue
        own = getattr(result, part.name)
        for field, filler in value.ListFields():
            is_filler = field.message_type is not None and field.message_type.name == "FillerParameter"
            if is_filler and not (empty_ones and filler.ListFields()):
                own.ClearField(field.name)
        if type_of(result) != kind:
            own.CopyFrom(value)
    return result


def write_net(net: Net, stem: Path) -> list[Path]:
    """Writes STEM.prototxt and STEM.caffemodel, each whole or not at all; returns their names.

    Raises:
        WeightsError: one of them cannot be written.
    """
    prototxt, weights = (stem.with_name(f"{stem.name}.{end}") for end in ("prototxt", "caffemodel"))
    write_prototxt(prototxt_of(net), prototxt)
    net.save(weights)
    return [prototxt, weights]


def write_prototxt(message: caffe_pb2.NetParameter, file: Path) -> None:
    """Writes a prototxt, whole or not at all.

    Raises:
        WeightsError: it cannot be written.
    """
    with atomic_write(file, error=WeightsError) as stream:
        stream.write(f"{text_of(message)}\n".encode("utf-8", "surrogateescape"))

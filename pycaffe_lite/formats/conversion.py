"""Weights from a file of one format into one of another, told by the ends of their names."""

from __future__ import annotations

import os
from collections.abc import Callable

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import ArgumentError, WeightsError
from pycaffe_lite.formats import caffemodel, hdf5, named_arrays
from pycaffe_lite.formats.atomic import StrPath
from pycaffe_lite.formats.model import Model, StoredLayer
from pycaffe_lite.proto import caffe_pb2

# What names end in, the longer ends first.
ENDINGS = (".caffemodel.h5", ".caffemodel", ".h5", ".npz", ".safetensors")


def ending_of(path: StrPath) -> str:
    """The end of a name that tells the format.

    Raises:
        ArgumentError: there is none.
    """
    name = os.fspath(path)
    for ending in ENDINGS:
        if name.endswith(ending):
            return ending.replace(".caffemodel.h5", ".h5")
    raise ArgumentError(f"the name '{name}' ends in none of {', '.join(ENDINGS)}")


def read(path: StrPath) -> Model:
    """Reads weights in the format that the name tells.

    Raises:
        ArgumentError: the name tells none.
        FileLookupError: the file is not there. WeightsError: it is damaged or of another kind.
    """
    readers: dict[str, Callable[[StrPath], Model]] = {
        ".caffemodel": caffemodel.read,
        ".h5": hdf5.read_model,
        ".npz": named_arrays.read_npz,
        ".safetensors": named_arrays.read_safetensors,
    }
    return readers[ending_of(path)](path)


def write(path: StrPath, model: Model) -> None:
    """Writes weights in the format that the name tells; the file is whole or not there.

    Raises:
        ArgumentError: the name tells none.
        WeightsError: the file cannot be written, or the format cannot hold the weights.
    """
    ending = ending_of(path)
    if ending == ".npz":
        named_arrays.write_npz(path, model)
        return
    if ending == ".safetensors":
        named_arrays.write_safetensors(path, model)
        return
    net = caffe_pb2.NetParameter(name=model.name, layer=[_message_of(layer) for layer in model.layers])
    blobs = [blobs_of(layer, model, path) for layer in model.layers]
    if ending == ".h5":
        hdf5.write_model(path, net, blobs, [[False] * len(layer_blobs) for layer_blobs in blobs])
    else:
        caffemodel.write(path, net, blobs)


def _message_of(layer: StoredLayer) -> caffe_pb2.LayerParameter:
    """A layer as far as the file tells it: its name, its type, what it reads and makes."""
    return caffe_pb2.LayerParameter(name=layer.name, type=layer.type, bottom=layer.bottom, top=layer.top)


def blobs_of(layer: StoredLayer, model: Model, path: StrPath) -> list[Blob]:
    """A layer's blobs, copied.

    Raises:
        WeightsError: one stands with another layer, which an HDF5 file does not name.
    """
    blobs = []
    for i, stored in enumerate(layer.blobs):
        if stored is None:
            raise WeightsError(
                f"'{model.source}': layer '{layer.name}' shares blob {i} with a layer that the file does not "
                f"name, so that '{path}' cannot be written; 'pycaffe-lite merge' does it with the net"
            )
        blob = Blob(stored.shape, dtype=stored.data.dtype.newbyteorder("="))
        blob.data[...] = stored.data
        blobs.append(blob)
    return blobs

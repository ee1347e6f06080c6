"""Weights of a net: from files, into files, and shared with another net."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pycaffe_lite.errors import PycaffeError, WeightsError
from pycaffe_lite.io import caffemodel, hdf5
from pycaffe_lite.io.model import Model, StoredLayer
from pycaffe_lite.layers.base import Layer

if TYPE_CHECKING:
    from pycaffe_lite.net.net import Net

log = logging.getLogger(__name__)

RENAME_HINT = "to learn this layer from scratch instead, rename it in the prototxt"


def copy_from(net: Net, path: Path) -> None:
    """Loads a weights file, binary or HDF5 (told by its signature), into the layers of the same names."""
    model = hdf5.read_model(path) if hdf5.is_hdf5(path) else caffemodel.read(path)
    copy_model(net, model)


def copy_model(net: Net, model: Model) -> None:
    """Copies the blobs of a file into the net's layers of the same names.

    Source layers that the net lacks are ignored, with a log line. All is checked before any blob changes.

    Raises:
        WeightsError: a layer has another number of blobs, or a blob another shape.

    Source: BVLC/caffe src/caffe/net.cpp, CopyTrainedLayersFrom
    """
    targets = _by_name(net)
    shared = _shared_blobs(net)
    pairs = []
    for source in model.layers:
        target = targets.get(source.name)
        if target is None:
            log.info("Ignoring source layer %s", source.name)
            continue
        _check(model, source, target, shared)
        pairs.append((source, target))
    for source, target in pairs:
        for stored, blob in zip(source.blobs, target.blobs, strict=False):
            if stored is not None:
                blob.data[...] = stored.data.reshape(blob.shape)
                if stored.diff is not None:
                    blob.diff[...] = stored.diff.reshape(blob.shape)


def _by_name(net: Net) -> dict[str, Layer[Any]]:
    """The layers by name; of a name used twice the first, unlike in `net.layer_dict`."""
    return {layer.name: layer for layer in reversed(net.layers)}


def _check(model: Model, source: StoredLayer, target: Layer[Any], shared: set[int]) -> None:
    where = f"'{model.source}': layer '{source.name}' ({target.type})"
    if len(source.blobs) > len(target.blobs) or (
        len(source.blobs) < len(target.blobs) and model.format == "binaryproto"
    ):
        counts = f"{len(source.blobs)} blobs in the file, {len(target.blobs)} in the net"
        raise WeightsError(f"{where} has {counts}; {RENAME_HINT}")
    for i, blob in enumerate(target.blobs):
        stored = source.blobs[i] if i < len(source.blobs) else None
        if stored is None:
            if id(blob) not in shared:
                raise WeightsError(f"{where} lacks blob {i} of shape {blob.shape} in the file")
        elif not stored.fits(blob.shape):
            raise WeightsError(
                f"{where} has blob {i} of shape {stored.shape} in the file, {blob.shape} in the net; "
                f"{RENAME_HINT}"
            )


def copy_from_hdf5(net: Net, path: Path) -> None:
    """Loads an HDF5 file, whatever its name."""
    copy_model(net, hdf5.read_model(path))


def save(net: Net, path: Path, *, write_diff: bool, error: type[PycaffeError] = WeightsError) -> None:
    """Writes the binary file; what goes wrong is raised as `error`."""
    blobs = [layer.blobs for layer in net.layers]
    caffemodel.write(path, net.to_proto(), blobs, diff=write_diff, error=error)


def save_hdf5(net: Net, path: Path, *, write_diff: bool, error: type[PycaffeError] = WeightsError) -> None:
    """Writes the HDF5 file; what goes wrong is raised as `error`."""
    blobs = [layer.blobs for layer in net.layers]
    shared = _shared_blobs(net)
    is_shared = [[id(blob) in shared for blob in layer_blobs] for layer_blobs in blobs]
    hdf5.write_model(path, net.to_proto(), blobs, is_shared, diff=write_diff, error=error)


def _shared_blobs(net: Net) -> set[int]:
    """Identities of the blobs whose memory another layer's blob owns."""
    return {id(param.blob) for param in net.param_table.params if param.owner is not None}


def share(net: Net, other: Net) -> None:
    """Lets `net` use the data of `other`'s layers of the same names.

    Raises:
        WeightsError: a layer of the same name has another number of blobs, or a blob another shape.
    """
    targets = _by_name(net)
    for source in other.layers:
        target = targets.get(source.name)
        if target is None:
            log.info("Ignoring source layer %s", source.name)
            continue
        shapes = [[blob.shape for blob in layer.blobs] for layer in (target, source)]
        if shapes[0] != shapes[1]:
            raise WeightsError(
                f"layer '{source.name}' ({source.type}) cannot share weights: its blobs have shapes "
                f"{_shapes_text(shapes[0])} here, {_shapes_text(shapes[1])} in the other net"
            )
        for mine, theirs in zip(target.blobs, source.blobs, strict=True):
            mine.share_data(theirs)


def _shapes_text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes) or "none"

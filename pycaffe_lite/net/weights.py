"""The weights of a net: read from files, written to files, and shared with another net."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import PycaffeError, WeightsError
from pycaffe_lite.formats import caffemodel, hdf5
from pycaffe_lite.formats.model import Model, StoredBlob, StoredLayer
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.registry import forms_of

if TYPE_CHECKING:
    from pycaffe_lite.net.net import Net

log = logging.getLogger(__name__)

RENAME_HINT = "to learn this layer from scratch instead, rename it in the prototxt"


class Loaded(NamedTuple):
    """What a net has taken from a weights file.

    Attributes:
        source: the file's name.
        layers: names of the layers that got weights.
        ignored: names of the file's layers that have weights but no counterpart in the net.
        fresh: names of the net's layers that have a learnable blob which the file lacks.
    """

    source: str
    layers: list[str]
    ignored: list[str]
    fresh: list[str]


def fresh_in_all(loaded: Sequence[Loaded]) -> list[str]:
    """Names of the layers that start afresh after all these files have been loaded, one after another."""
    return [name for name in loaded[0].fresh if all(name in one.fresh for one in loaded)] if loaded else []


class Loading:
    """The contents of a weights file, found to fit a net before anything changes.

    Args:
        net: the net. model: the file's contents.

    Raises:
        WeightsError: a layer has another number of blobs, or a blob another shape.
    """

    def __init__(self, net: Net, model: Model) -> None:
        self._net = net
        self._model = model
        targets, shared = _by_name(net), _shared_blobs(net)
        self._pairs = [(source, targets[source.name]) for source in model.layers if source.name in targets]
        for source, target in self._pairs:
            _check(model, source, target, shared)

    @property
    def outcome(self) -> Loaded:
        """Says which layers get weights, and which do not."""
        owners = {id(param.blob): id(param.blob) for param in self._net.param_table.params}
        for param in self._net.param_table.params:
            if param.owner is not None:
                owners[id(param.blob)] = id(self._net.param_table.params[param.owner].blob)
        given = {owners.get(id(blob), id(blob)) for _, blob in self._values()}
        return Loaded(
            self._model.source,
            [source.name for source, _ in self._pairs if source.blobs],
            [source.name for source in self._unmatched() if source.blobs],
            [
                layer.name
                for layer in self._net.layers
                if not given.issuperset(owners.get(id(blob), id(blob)) for blob in layer.blobs)
            ],
        )

    def commit(self) -> None:
        """Copies the values into the net, and lets its followers share them.

        Source layers that the net lacks are ignored, with a log line.

        Source: BVLC/caffe src/caffe/net.cpp, CopyTrainedLayersFrom
        """
        for source in self._unmatched():
            log.info("Ignoring source layer %s", source.name)
        with np.errstate(over="ignore"):  # float64 values may overflow in a float32 net
            for stored, blob in self._values():
                blob.data[...] = stored.data.reshape(blob.shape)
                if stored.diff is not None:
                    blob.diff[...] = stored.diff.reshape(blob.shape)
        if self._model.count and not any(source.blobs for source, _ in self._pairs):
            log.warning("'%s' has no weights for any layer of this net", self._model.source)
        for follower in self._net.followers:
            # A follower that cannot share them says so when it is tested.
            with contextlib.suppress(WeightsError):
                _share(follower, self._net)

    def _values(self) -> Iterator[tuple[StoredBlob, Blob]]:
        for source, target in self._pairs:
            for stored, blob in zip(source.blobs, target.blobs, strict=False):
                if stored is not None:
                    yield stored, blob

    def _unmatched(self) -> list[StoredLayer]:
        matched = {source.name for source, _ in self._pairs}
        return [source for source in self._model.layers if source.name not in matched]


def read(path: Path) -> Model:
    """Reads a weights file, binary or HDF5; its first bytes tell which.

    Raises:
        FileLookupError: no such file. WeightsError: it cannot be read.
    """
    return hdf5.read_model(path) if hdf5.is_hdf5(path) else caffemodel.read(path)


def copy_from(net: Net, path: Path) -> Loaded:
    """Loads a weights file into the layers of the same names; all is checked before any blob changes."""
    return load_model(net, read(path))


def copy_from_hdf5(net: Net, path: Path) -> Loaded:
    """Loads an HDF5 file, whatever its name."""
    return load_model(net, hdf5.read_model(path))


def load_model(net: Net, model: Model) -> Loaded:
    """Loads weights into the layers of the same names; all is checked before any blob changes.

    Raises:
        WeightsError: a layer has another number of blobs, or a blob another shape.
    """
    loading = Loading(net, model)
    loading.commit()
    return loading.outcome


def _by_name(net: Net) -> dict[str, Layer[Any]]:
    """The layers by name; of a name used twice the first, unlike in `net.layer_dict`."""
    return {layer.name: layer for layer in reversed(net.layers)}


def _check(model: Model, source: StoredLayer, target: Layer[Any], shared: set[int]) -> None:
    where = f"'{model.source}': layer '{source.name}' ({target.type})"
    if len(source.blobs) > len(target.blobs) or (
        len(source.blobs) < len(target.blobs) and model.format == "binaryproto"
    ):
        counts = f"{len(source.blobs)} blobs in the file, {len(target.blobs)} in the net"
        forms = f"the file may mean another layer of this name ('pycaffe-lite layers {target.type}'); "
        several = any(
            not isinstance(target, form.layer_class) and not issubclass(form.layer_class, type(target))
            for form in forms_of(target.type)
        )
        raise WeightsError(f"{where} has {counts}; {forms * several}{RENAME_HINT}")
    for i, blob in enumerate(target.blobs):
        stored = source.blobs[i] if i < len(source.blobs) else None
        if stored is None:
            if id(blob) not in shared:
                raise WeightsError(f"{where} lacks blob {i} of shape {blob.shape} in the file")
        elif not (
            stored.fits(blob.shape) or (target.takes_blobs_of_any_shape and stored.data.size == blob.count)
        ):
            raise WeightsError(
                f"{where} has blob {i} of shape {stored.shape} in the file, {blob.shape} in the net; "
                f"{RENAME_HINT}"
            )


def save(
    net: Net,
    path: Path,
    *,
    write_diff: bool,
    fork: str | None = None,
    error: type[PycaffeError] = WeightsError,
) -> bytes:
    """Writes the binary file, for a fork of Caffe if one is named, and returns its fingerprint.

    Raises:
        WeightsError: the fork, or every fork, lacks a field of the net. Other failures are raised as `error`.
    """
    blobs = [layer.blobs for layer in net.layers]
    return caffemodel.write(path, net.to_proto(), blobs, diff=write_diff, fork=fork, error=error)


def save_hdf5(net: Net, path: Path, *, write_diff: bool, error: type[PycaffeError] = WeightsError) -> bytes:
    """Writes the HDF5 file and returns its fingerprint; failures are raised as `error`."""
    blobs = [layer.blobs for layer in net.layers]
    shared = _shared_blobs(net)
    is_shared = [[id(blob) in shared for blob in layer_blobs] for layer_blobs in blobs]
    return hdf5.write_model(path, net.to_proto(), blobs, is_shared, diff=write_diff, error=error)


def _shared_blobs(net: Net) -> set[int]:
    """The ids of the blobs whose memory another layer's blob owns."""
    return {id(param.blob) for param in net.param_table.params if param.owner is not None}


def share(net: Net, other: Net) -> None:
    """Lets `net` use the data of `other`'s layers of the same names.

    Raises:
        WeightsError: a layer of the same name has another number of blobs, or a blob another shape; nothing
            has changed then.
    """
    for name in _share(net, other):
        log.info("Ignoring source layer %s", name)


def _share(net: Net, other: Net) -> list[str]:
    """As `share`; returns the names of the layers that `net` lacks."""
    targets = _by_name(net)
    pairs = [(targets[source.name], source) for source in other.layers if source.name in targets]
    for target, source in pairs:
        shapes = [[blob.shape for blob in layer.blobs] for layer in (target, source)]
        if shapes[0] != shapes[1]:
            raise WeightsError(
                f"layer '{source.name}' ({source.type}) cannot share weights: its blobs have shapes "
                f"{_shapes_text(shapes[0])} here, {_shapes_text(shapes[1])} in the other net"
            )
    for target, source in pairs:
        for mine, theirs in zip(target.blobs, source.blobs, strict=True):
            mine.share_data(theirs)
    return [source.name for source in other.layers if source.name not in targets]


def _shapes_text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes) or "none"

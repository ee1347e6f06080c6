"""Weights and solver states in Caffe's HDF5 format, .caffemodel.h5 and .solverstate.h5.

Weights: a group `data` with a group for each layer, in it a dataset for each blob by its index; with
gradients, a group `diff` of the same build. A blob that its layer shares stands only with its owner.
State: datasets `iter`, `current_step`, `learned_net`, and a group `history` with datasets 0, 1, 2, ...

Source: BVLC/caffe src/caffe/net.cpp (ToHDF5), src/caffe/solvers/sgd_solver.cpp (SnapshotSolverStateToHDF5)
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterator, Sequence
from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import MAX_AXES, MAX_COUNT, Blob
from pycaffe_lite.errors import PycaffeError, SnapshotError, WeightsError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats import kinds
from pycaffe_lite.formats.atomic import StrPath, atomic_write, fingerprint, open_regular, read_bytes, reason
from pycaffe_lite.formats.hdf5_format import (
    MAX_DEPTH,
    SIGNATURE,
    FormatError,
    NewerFormatError,
    Source,
    Tree,
    Values,
    file_parts,
    read_tree,
)
from pycaffe_lite.formats.model import Array, Model, StoredBlob, StoredLayer
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.formats.wireblob import write_part
from pycaffe_lite.proto import caffe_pb2

# The dataset of exact continuation's state in a .solverstate.h5; Caffe passes over it.
_RESUME_GROUP, _RESUME = "pycaffe_lite", "resume"
# A limit for damaged files, far beyond any layer's.
_MAX_BLOBS = 256
# What a state holds besides its history.
_STATE_HEAD = ("iter", "current_step", "learned_net", "minimum_loss", "iter_last_event", _RESUME_GROUP)
# A file may be packed. Weights hardly shrink; one that unpacks to more than this many times its size, and to
# more than some memory that everybody has, is a trap or a mistake.
_MOST_COMPRESSION = 100
_ALWAYS_FINE = 2**24


def is_hdf5(path: StrPath) -> bool:
    """Whether a file begins as HDF5 files do; False if it is not a file or cannot be read."""
    try:
        with open_regular(path, error=WeightsError) as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except (PycaffeError, OSError):
        return False


# ------------------------------------------------------------------------------------------------ reading


def read_model(path: StrPath) -> Model:
    """Reads a .caffemodel.h5.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is truncated or of another kind; the message names the file.
    """
    data = read_bytes(path, error=WeightsError)
    try:
        tree = _tree(path, data, WeightsError)
        layers = tuple(_layers(_group(tree, "data"), tree.get("diff"), ""))
    except FormatError as problem:
        wrong = _wrong_kind(path, data, kinds.WEIGHTS)
        raise WeightsError(wrong or f"'{path}' is damaged or not a .caffemodel.h5: {problem}") from None
    return Model("", layers, source=str(path), format="hdf5")


def _layers(data: Tree, diff: Tree | Values | None, prefix: str) -> Iterator[StoredLayer]:
    """The layers in a group. A layer's name may hold slashes: then HDF5 nests groups."""
    for name, group in data.items():
        if not isinstance(group, dict):
            continue
        diffs = diff.get(name) if isinstance(diff, dict) else None
        blobs: dict[int, StoredBlob] = {}
        for key, item in group.items():
            if key.isascii() and key.isdigit() and not isinstance(item, dict):
                if len(key) > 3 or int(key) >= _MAX_BLOBS:
                    raise FormatError(f"layer '{prefix}{name}' has a blob {key[:12]}")
                stored_diff = _floats(diffs, key) if isinstance(diffs, dict) and key in diffs else None
                blobs[int(key)] = StoredBlob(_floats(group, key), stored_diff)
        inner = any(isinstance(item, dict) for item in group.values())
        if blobs or not inner:
            count = 1 + max(blobs, default=-1)
            yield StoredLayer(prefix + name, blobs=tuple(blobs.get(i) for i in range(count)))
        yield from _layers(group, diffs, f"{prefix}{name}/")


def read_state(path: StrPath) -> SolverState:
    """Reads a .solverstate.h5.

    Raises:
        FileLookupError: the file is not there.
        SnapshotError: it is truncated or of another kind; the message names the file.
    """
    data = read_bytes(path, error=SnapshotError)
    try:
        return _state(_tree(path, data, SnapshotError))
    except FormatError as problem:
        wrong = _wrong_kind(path, data, kinds.STATE)
        raise SnapshotError(wrong or f"'{path}' is damaged or not a .solverstate.h5: {problem}") from None


def read_state_head(path: StrPath) -> SolverState:
    """As `read_state`, without the history, which is passed over unread: quick for a state of any size."""
    with open_regular(path, error=SnapshotError) as file:
        try:
            return _state(_tree(path, _OnDisk(file), SnapshotError, _STATE_HEAD))
        except FormatError as problem:
            raise SnapshotError(f"'{path}' is damaged or not a .solverstate.h5: {problem}") from None
        except OSError as failure:
            raise SnapshotError(f"cannot read '{path}': {reason(failure)}") from None


class _OnDisk:
    """The bytes of an open file, read when they are asked for."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> npt.NDArray[np.uint8]:
        self._file.seek(place.start)
        return np.frombuffer(self._file.read(place.stop - place.start), np.uint8)


def _state(tree: Tree) -> SolverState:
    history = _group(tree, "history")
    learned_net, ours = tree.get("learned_net"), tree.get(_RESUME_GROUP)
    if not isinstance(learned_net, bytes):
        raise FormatError("'learned_net' holds no text")
    resume = ours.get(_RESUME) if isinstance(ours, dict) else None
    return SolverState(
        _count(tree, "iter"),
        learned_net.decode("utf-8", "surrogateescape"),
        _count(tree, "current_step"),
        tuple(_floats(history, str(i)) for i in range(len(history))),
        resume.tobytes() if isinstance(resume, np.ndarray) else None,
        _number(tree, "minimum_loss") if "minimum_loss" in tree else None,
        _count(tree, "iter_last_event") if "iter_last_event" in tree else None,
    )


def _wrong_kind(path: StrPath, data: npt.NDArray[np.uint8], wanted: kinds.Kind) -> str | None:
    """A message that a file is of another kind than wanted; None if it is not known to be."""
    if data[: len(SIGNATURE)].tobytes() != SIGNATURE:
        return kinds.wrong_kind(path, data, wanted)
    try:
        kind = _kind_of(_tree(path, data, WeightsError, only=("data",)))
        if re.search(rb"keras_version", data.data):
            kind = kinds.KERAS
    except (FormatError, WeightsError):
        return None
    return None if kind is None or kind == wanted else kinds.mistaken(path, kind, wanted)


def _kind_of(tree: Tree) -> kinds.Kind | None:
    """What an HDF5 file is by the names in its root group."""
    if {"iter", "history"} & tree.keys():
        return kinds.STATE
    if {"model_weights", "top_level_model_weights", "layers"} & tree.keys():
        return kinds.KERAS
    data = tree.get("data")
    if isinstance(data, dict):
        return kinds.WEIGHTS
    return None if data is None else kinds.ARRAYS


def _tree(
    path: StrPath, data: Source, error: type[PycaffeError], only: Collection[str] | None = None
) -> Tree:
    """What a file holds; see `read_tree`."""
    try:
        return read_tree(data, only)
    except NewerFormatError:
        return _LibraryReader(path, len(data), error).read(only)


class _LibraryReader:
    """Reads a file of the newer format, which has checksums against damage, with h5py.

    Nothing is unpacked before it is known how much all datasets hold together.
    """

    def __init__(self, path: StrPath, size: int, error: type[PycaffeError]) -> None:
        try:
            import h5py
        except ImportError:
            raise error(missing(f"'{path}' is in HDF5's newer format: reading it", "h5py", "hdf5")) from None
        self._library = h5py
        self._path = path
        self._seen: set[int] = set()
        self._unpacked = 0
        self._most = max(size * _MOST_COMPRESSION, _ALWAYS_FINE)

    def read(self, only: Collection[str] | None) -> Tree:
        try:
            with self._library.File(self._path, "r") as file:
                items = self._group(file, only, 0)
                if self._unpacked > self._most:
                    raise FormatError(
                        f"it unpacks to {self._unpacked} bytes, more than {_MOST_COMPRESSION} times its size"
                    )
                return self._values(items)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as problem:  # as the library has it
            raise FormatError(" ".join(str(problem).split())) from None

    def _group(self, group: Any, only: Collection[str] | None, depth: int) -> dict[str, Any]:
        """What is in a group: groups as dictionaries, datasets still packed."""
        if depth > MAX_DEPTH:
            raise FormatError("its groups are nested too deeply")
        items: dict[str, Any] = {}
        for name in group:
            if only is not None and name not in only:
                items[name] = {}
                continue
            if not isinstance(group.get(name, getlink=True), self._library.HardLink):
                raise FormatError(f"'{name}' is a link to another place")
            item = group[name]
            self._once(item)
            if isinstance(item, self._library.Group):
                items[name] = self._group(item, None, depth + 1)
            elif item.dtype.kind in "fiu" or (item.dtype.kind in "SO" and item.shape == ()):
                self._unpacked += _unpacked_size(item)
                items[name] = item
            else:
                raise FormatError(f"'{name}' holds neither numbers nor one text")
        return items

    def _once(self, item: Any) -> None:
        """Notes that an object has been met: a small file may link its objects to each other without end."""
        address = self._library.h5o.get_info(item.id).addr
        if address in self._seen:
            raise FormatError(f"two places point at byte {address}")
        self._seen.add(address)

    def _values(self, items: dict[str, Any]) -> Tree:
        tree: Tree = {}
        for name, item in items.items():
            if isinstance(item, dict):
                tree[name] = self._values(item)
            else:
                values = item[()]
                tree[name] = values if isinstance(values, bytes) else np.asarray(values)
        return tree


def _unpacked_size(dataset: Any) -> int:
    """Bytes that reading a dataset takes: that of all its chunks, which are unpacked whole."""
    if dataset.external or dataset.is_virtual:
        raise FormatError(f"'{dataset.name}' stands in another file")
    shape = dataset.shape or ()
    if dataset.chunks:
        shape = [-(-n // chunk) * chunk for n, chunk in zip(shape, dataset.chunks, strict=True)]
    size: int = math.prod(shape) * dataset.dtype.itemsize
    return size


def _group(tree: Tree, name: str) -> Tree:
    group = tree.get(name)
    if not isinstance(group, dict):
        raise FormatError(f"it has no group '{name}'")
    return group


def _floats(group: Tree, name: str) -> Array:
    """A dataset of numbers, float64 if it is that, else float32."""
    values = group.get(name)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise FormatError(f"'{name}' holds no numbers")
    if values.ndim > MAX_AXES or values.size > MAX_COUNT:
        raise FormatError(f"'{name}' has the impossible shape {values.shape}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


def _number(tree: Tree, name: str) -> float:
    """The one number of a dataset."""
    values = _floats(tree, name)
    if values.size != 1:
        raise FormatError(f"'{name}' holds {values.size} numbers instead of one")
    return float(values.ravel()[0])


def _count(tree: Tree, name: str) -> int:
    """The one number of a dataset, at least 0."""
    values = tree.get(name)
    if not isinstance(values, np.ndarray) or values.size != 1 or values.dtype.kind not in "iu":
        raise FormatError(f"'{name}' holds no count")
    count = int(values.ravel()[0])
    if count < 0:
        raise FormatError(f"'{name}' is {count}")
    return count


# ------------------------------------------------------------------------------------------------ writing


def write_model(
    path: StrPath,
    net: caffe_pb2.NetParameter,
    blobs: Sequence[Sequence[Blob]],
    shared: Sequence[Sequence[bool]],
    *,
    diff: bool = False,
    error: type[PycaffeError] = WeightsError,
) -> bytes:
    """Writes weights as Caffe's HDF5 file; the file is whole or not there.

    Args:
        path: of the file.
        net: name and layers.
        blobs: for each layer of `net`, its learnable blobs.
        shared: for each of these, whether another layer owns it: then its values stand there.
        diff: whether to write the gradients too.
        error: class of the error raised if the file cannot be written.

    Returns:
        The file's fingerprint.
    """
    data: Tree = {}
    diffs: Tree = {}
    for layer, its_blobs, its_shared in zip(net.layer, blobs, shared, strict=True):
        owned = {str(i): blob.data for i, blob in enumerate(its_blobs) if not its_shared[i]}
        _group_at(data, layer.name).update(owned)
        if diff:
            _group_at(diffs, layer.name).update((str(i), blob.diff) for i, blob in enumerate(its_blobs))
    return _write(path, {"data": data, "diff": diffs} if diff else {"data": data}, error)


def _group_at(tree: Tree, path: str) -> Tree:
    """The group at a path of names with slashes between them, made if it is not there."""
    for name in path.split("/"):
        group = tree.setdefault(name, {})
        if not isinstance(group, dict):
            raise WeightsError(f"layer '{path}' and a blob would have the same name in an HDF5 file")
        tree = group
    return tree


def write_state(path: StrPath, state: SolverState, *, error: type[PycaffeError] = SnapshotError) -> None:
    """Writes a .solverstate.h5 that Caffe reads too; the file is whole or not there."""
    tree: Tree = {
        "iter": np.array([state.iter], np.int32),
        "learned_net": state.learned_net.encode("utf-8", "surrogateescape"),
        "current_step": np.array([state.current_step], np.int32),
        "history": {str(i): values for i, values in enumerate(state.history)},
    }
    if state.minimum_loss is not None:
        tree["minimum_loss"] = np.array([state.minimum_loss], np.float32)
    if state.iter_last_event is not None:
        tree["iter_last_event"] = np.array([state.iter_last_event], np.int32)
    if state.resume is not None:
        tree[_RESUME_GROUP] = {_RESUME: np.frombuffer(state.resume, np.uint8)}
    _write(path, tree, error)


def _write(path: StrPath, tree: Tree, error: type[PycaffeError]) -> bytes:
    with atomic_write(path, error=error) as file:
        for part in file_parts(tree):
            write_part(file, part)
        return fingerprint(file)

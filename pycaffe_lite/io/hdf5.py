"""Weights and solver states in Caffe's HDF5 format, .caffemodel.h5 and .solverstate.h5.

Weights: a group `data` with a group for each layer, in it a dataset for each blob by its index; with
gradients, a group `diff` of the same build. A blob that its layer shares stands only with its owner.
State: datasets `iter`, `current_step`, `learned_net`, and a group `history` with datasets 0, 1, 2, ...

Source: BVLC/caffe src/caffe/net.cpp (ToHDF5), src/caffe/solvers/sgd_solver.cpp (SnapshotSolverStateToHDF5)
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import MAX_AXES, MAX_COUNT, Blob
from pycaffe_lite.errors import PycaffeError, SnapshotError, WeightsError
from pycaffe_lite.extras import missing
from pycaffe_lite.io.files import StrPath, atomic_write, read_bytes
from pycaffe_lite.io.hdf5_format import (
    SIGNATURE,
    FormatError,
    NewerFormatError,
    Tree,
    Values,
    file_parts,
    read_tree,
)
from pycaffe_lite.io.model import Array, Model, StoredBlob, StoredLayer
from pycaffe_lite.io.state import SolverState
from pycaffe_lite.io.wireblob import write_part
from pycaffe_lite.proto import caffe_pb2

# Where exact continuation's state lies in a .solverstate.h5; Caffe passes over it.
_RESUME_GROUP, _RESUME = "pycaffe_lite", "resume"
# Far beyond any layer; what a damaged file may not exceed.
_MAX_BLOBS = 256
# Compressed datasets may be larger than their file; deflate packs at most this tightly.
_MAX_COMPRESSION = 1032


def is_hdf5(path: StrPath) -> bool:
    """Whether a file begins as HDF5 files do; False where it is no file or cannot be read."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


# ------------------------------------------------------------------------------------------------ reading


def read_model(path: StrPath) -> Model:
    """Reads a .caffemodel.h5.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is truncated or no weights file; the message names the file.
    """
    try:
        tree = _read(path, WeightsError)
        layers = tuple(_layers(_group(tree, "data"), tree.get("diff"), ""))
    except FormatError as problem:
        raise WeightsError(f"'{path}' is damaged or no .caffemodel.h5: {problem}") from None
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
        SnapshotError: it is truncated or no solver state; the message names the file.
    """
    try:
        tree = _read(path, SnapshotError)
        history = _group(tree, "history")
        learned_net, ours = tree.get("learned_net"), tree.get(_RESUME_GROUP)
        if not isinstance(learned_net, bytes):
            raise FormatError("'learned_net' holds no text")
        resume = ours.get(_RESUME) if isinstance(ours, dict) else None
        return SolverState(
            _count(tree, "iter"),
            learned_net.decode("utf-8", "replace"),
            _count(tree, "current_step"),
            tuple(_floats(history, str(i)) for i in range(len(history))),
            resume.tobytes() if isinstance(resume, np.ndarray) else None,
        )
    except FormatError as problem:
        raise SnapshotError(f"'{path}' is damaged or no .solverstate.h5: {problem}") from None


def _read(path: StrPath, error: type[PycaffeError]) -> Tree:
    data = read_bytes(path, error=error)
    try:
        return read_tree(data)
    except NewerFormatError:
        return _read_with_library(path, len(data), error)


def _read_with_library(path: StrPath, size: int, error: type[PycaffeError]) -> Tree:
    """Reads a file of the newer format, which has checksums against damage, with h5py."""
    try:
        import h5py
    except ImportError:
        raise error(missing(f"'{path}' is in HDF5's newer format: reading it", "h5py", "hdf5")) from None
    room = size * _MAX_COMPRESSION

    def read_item(item: Any) -> Tree | Values:
        nonlocal room
        if isinstance(item, h5py.Group):
            return {name: read_item(item[name]) for name in item}
        room -= math.prod(item.shape or ()) * item.dtype.itemsize
        if room < 0:
            raise FormatError("it is smaller than what it claims to hold")
        values = item[()]
        return values if isinstance(values, bytes) else np.asarray(values)

    try:
        with h5py.File(path, "r") as file:
            return {name: read_item(file[name]) for name in file}
    except (OSError, RuntimeError, KeyError, TypeError, RecursionError) as problem:  # as the library has it
        raise FormatError(" ".join(str(problem).split())) from None


def _group(tree: Tree, name: str) -> Tree:
    group = tree.get(name)
    if not isinstance(group, dict):
        raise FormatError(f"it has no group '{name}'")
    return group


def _floats(group: Tree, name: str) -> Array:
    """A dataset of numbers, float64 where it is that, else float32."""
    values = group.get(name)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise FormatError(f"'{name}' holds no numbers")
    if values.ndim > MAX_AXES or values.size > MAX_COUNT:
        raise FormatError(f"'{name}' has the impossible shape {values.shape}")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)


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
) -> None:
    """Writes weights as Caffe's HDF5 file; the file is whole or not there.

    Args:
        path: of the file.
        net: name and layers.
        blobs: for each layer of `net`, its learnable blobs.
        shared: for each of these, whether another layer owns it: then its values stand there.
        diff: whether to write the gradients too.
        error: class of the error raised where the file cannot be written.
    """
    data: Tree = {}
    diffs: Tree = {}
    for layer, its_blobs, its_shared in zip(net.layer, blobs, shared, strict=True):
        owned = {str(i): blob.data for i, blob in enumerate(its_blobs) if not its_shared[i]}
        _group_at(data, layer.name).update(owned)
        if diff:
            _group_at(diffs, layer.name).update((str(i), blob.diff) for i, blob in enumerate(its_blobs))
    _write(path, {"data": data, "diff": diffs} if diff else {"data": data}, error)


def _group_at(tree: Tree, path: str) -> Tree:
    """The group at a path of names with slashes between them, made where it is not there."""
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
    if state.resume is not None:
        tree[_RESUME_GROUP] = {_RESUME: np.frombuffer(state.resume, np.uint8)}
    _write(path, tree, error)


def _write(path: StrPath, tree: Tree, error: type[PycaffeError]) -> None:
    with atomic_write(path, error=error) as file:
        for part in file_parts(tree):
            write_part(file, part)

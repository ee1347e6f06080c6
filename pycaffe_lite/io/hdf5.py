"""Weights and solver states in Caffe's HDF5 format, .caffemodel.h5 and .solverstate.h5; needs h5py.

Weights: a group `data` with a group for each layer, in it a dataset for each blob by its index; with
gradients, a group `diff` of the same build. A blob that its layer shares stands only with its owner.
State: datasets `iter`, `current_step`, `learned_net`, and a group `history` with datasets 0, 1, 2, ...

Source: BVLC/caffe src/caffe/net.cpp (ToHDF5), src/caffe/solvers/sgd_solver.cpp (SnapshotSolverStateToHDF5)
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import MAX_AXES, MAX_COUNT, Blob
from pycaffe_lite.errors import FileLookupError, PycaffeError, SnapshotError, WeightsError
from pycaffe_lite.io.files import StrPath, atomic_path, reason
from pycaffe_lite.io.model import Array, Model, StoredBlob, StoredLayer
from pycaffe_lite.io.state import SolverState
from pycaffe_lite.proto import caffe_pb2

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Where exact continuation's state lies in a .solverstate.h5; Caffe passes over it.
RESUME_PATH = "pycaffe_lite/resume"
# Compressed datasets may be larger than their file; deflate packs at most this tightly.
_MAX_COMPRESSION = 1032
# Far beyond any layer; what a damaged file may not exceed.
_MAX_BLOBS, _MAX_DEPTH = 256, 32


def is_hdf5(path: StrPath) -> bool:
    """Whether a file begins as HDF5 files do; False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def _h5py(path: StrPath, error: type[PycaffeError]) -> Any:
    try:
        import h5py
    except ImportError:
        raise error(f"'{path}' is an HDF5 file, which needs h5py: pip install 'pycaffe-lite[hdf5]'") from None
    return h5py


# ------------------------------------------------------------------------------------------------ reading


@contextlib.contextmanager
def _reading(path: StrPath, kind: str, error: type[PycaffeError]) -> Iterator[_Reader]:
    """Opens a file; whatever HDF5 finds wrong with it becomes one line that names it."""
    h5py = _h5py(path, error)
    try:
        size = os.stat(path).st_size
        with h5py.File(path, "r") as file:
            yield _Reader(h5py, file, size)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{path}'") from None
    except PycaffeError as problem:
        raise error(f"'{path}' is damaged or no {kind}: {problem}") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as problem:
        # HDF5 reports damage as any of these.
        said = reason(problem) if isinstance(problem, OSError) else str(problem)
        raise error(f"'{path}' is damaged or no {kind}: {' '.join(said.split())}") from None


class _Reader:
    """Groups and datasets of one open file, checked before anything is allocated for them."""

    def __init__(self, h5py: Any, file: Any, size: int) -> None:
        self._h5py = h5py
        self.root = file
        self._size = size

    def group(self, parent: Any, name: str) -> Any:
        found = parent.get(name)
        if not isinstance(found, self._h5py.Group):
            raise PycaffeError(f"it has no group '{name}'")
        return found

    def groups(self, parent: Any) -> list[tuple[str, Any]]:
        return [(name, item) for name, item in parent.items() if isinstance(item, self._h5py.Group)]

    def array(self, parent: Any, name: str) -> Array:
        """The values of a dataset of numbers as float32 (float64 where it is that)."""
        dataset = self._dataset(parent, name)
        values = np.empty(dataset.shape, np.float64 if dataset.dtype == np.float64 else np.float32)
        if values.size:
            dataset.read_direct(values)
        return values

    def raw(self, parent: Any, name: str) -> bytes:
        """The values of a dataset as they are stored."""
        return bytes(self._dataset(parent, name)[()].tobytes())

    def _dataset(self, parent: Any, name: str) -> Any:
        dataset = parent.get(name)
        where = f"{parent.name.rstrip('/')}/{name}"
        if not isinstance(dataset, self._h5py.Dataset):
            raise PycaffeError(f"it has no values '{where}'")
        shape = dataset.shape
        if shape is None or dataset.dtype.kind not in "fiu":
            raise PycaffeError(f"'{where}' holds no numbers")
        count, packed = math.prod(shape), dataset.chunks is not None
        if (
            len(shape) > MAX_AXES
            or count > MAX_COUNT
            or count * dataset.dtype.itemsize > self._size * (_MAX_COMPRESSION if packed else 1)
        ):
            raise PycaffeError(f"'{where}' of shape {shape} does not fit into a file of {self._size} bytes")
        return dataset

    def integer(self, name: str) -> int:
        """The one number of a dataset, at least 0."""
        values = self.array(self.root, name)
        if values.size != 1 or not values.ravel()[0] >= 0:
            raise PycaffeError(f"'{name}' holds no count")
        return int(values.ravel()[0])

    def text(self, name: str) -> str:
        dataset = self.root.get(name)
        if not isinstance(dataset, self._h5py.Dataset) or dataset.shape != ():
            raise PycaffeError(f"'{name}' holds no text")
        if dataset.dtype.itemsize > self._size:
            raise PycaffeError(f"'{name}' is longer than the file")
        value = dataset[()]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_model(path: StrPath) -> Model:
    """Reads a .caffemodel.h5.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is truncated or no weights file, or h5py is missing.
    """
    with _reading(path, ".caffemodel.h5", WeightsError) as file:
        diffs = file.root.get("diff")
        layers = tuple(_read_layers(file, "", file.group(file.root, "data"), diffs))
    return Model("", layers, source=str(path), format="hdf5")


def _read_layers(file: _Reader, prefix: str, group: Any, diffs: Any) -> Iterator[StoredLayer]:
    """The layers in a group. A layer's name may hold slashes: then HDF5 nests groups."""
    for name, item in file.groups(group):
        blobs: dict[int, StoredBlob] = {}
        for key in item:
            if key.isascii() and key.isdigit():
                if int(key) >= _MAX_BLOBS:
                    raise PycaffeError(f"layer '{prefix}{name}' has a blob {key}")
                data, path = file.array(item, key), f"{prefix}{name}/{key}"
                diff = file.array(diffs, path) if diffs is not None and path in diffs else None
                blobs[int(key)] = StoredBlob(data, diff)
        inner = file.groups(item)
        if blobs or not inner:
            count = 1 + max(blobs, default=-1)
            yield StoredLayer(prefix + name, blobs=tuple(blobs.get(i) for i in range(count)))
        if prefix.count("/") >= _MAX_DEPTH:
            raise PycaffeError("its groups are nested too deeply")
        yield from _read_layers(file, f"{prefix}{name}/", item, diffs)


def read_state(path: StrPath) -> SolverState:
    """Reads a .solverstate.h5.

    Raises:
        FileLookupError: the file is not there.
        SnapshotError: it is truncated or no solver state, or h5py is missing.
    """
    with _reading(path, ".solverstate.h5", SnapshotError) as file:
        group = file.group(file.root, "history")
        history = tuple(file.array(group, str(i)) for i in range(len(group)))
        return SolverState(
            file.integer("iter"),
            file.text("learned_net"),
            file.integer("current_step"),
            history,
            file.raw(file.root, RESUME_PATH) if RESUME_PATH in file.root else None,
        )


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
    with _writing(path, error) as file:
        data = file.create_group("data")
        diffs = file.create_group("diff") if diff else None
        for layer, its_blobs, its_shared in zip(net.layer, blobs, shared, strict=True):
            group = data.require_group(layer.name)
            diff_group = None if diffs is None else diffs.require_group(layer.name)
            for i, (blob, elsewhere) in enumerate(zip(its_blobs, its_shared, strict=True)):
                if not elsewhere:
                    group.create_dataset(str(i), data=blob.data)
                if diff_group is not None:
                    diff_group.create_dataset(str(i), data=blob.diff)


def write_state(path: StrPath, state: SolverState, *, error: type[PycaffeError] = SnapshotError) -> None:
    """Writes a .solverstate.h5 that Caffe reads too; the file is whole or not there."""
    with _writing(path, error) as file:
        file.create_dataset("iter", data=np.array([state.iter], np.int32))
        _write_text(file, "learned_net", state.learned_net)
        file.create_dataset("current_step", data=np.array([state.current_step], np.int32))
        history = file.create_group("history")
        for i, values in enumerate(state.history):
            history.create_dataset(str(i), data=values)
        if state.resume is not None:
            raw = np.frombuffer(state.resume, np.uint8)
            file.create_dataset(RESUME_PATH, data=raw)


def _write_text(file: Any, name: str, text: str) -> None:
    """Writes a string with a zero byte at its end: Caffe relies on it."""
    import h5py

    encoded = text.encode("utf-8", "surrogateescape")
    string = h5py.h5t.C_S1.copy()
    string.set_size(len(encoded) + 1)
    scalar = h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(file.id, name.encode(), string, scalar)
    dataset.write(scalar, scalar, np.array(encoded, f"S{len(encoded) + 1}"), string)


@contextlib.contextmanager
def _writing(path: StrPath, error: type[PycaffeError]) -> Iterator[Any]:
    h5py = _h5py(path, error)
    with atomic_path(path, error=error) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                yield file
        except (RuntimeError, ValueError) as problem:  # HDF5 reports a full disk as any of these
            raise OSError(0, " ".join(str(problem).split())) from None

"""Arrays from HDF5 files that people make: what HDF5Data reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.prefetch import machine_memory
from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import read_bytes
from pycaffe_lite.formats.hdf5_format import SIGNATURE, FormatError, Tree, Values, read_tree

Floats = npt.NDArray[np.float32]

# Something else may precede the file proper: 512 bytes, or twice that, and so on.
_USER_BLOCKS = 24


def read_arrays(path: Path, names: Sequence[str]) -> list[Floats]:
    """Reads data sets of a file as float32; others in the file do not matter.

    Files as h5py and Caffe write them by default are read here; packed ones and those of unusual types with
    h5py.

    Args:
        path: of the file.
        names: of the data sets; each has numbers and at least one axis, and all have as many rows.

    Returns:
        The arrays, in the order of the names.

    Raises:
        FileLookupError: the file is not there.
        DataError: it is no HDF5 file or damaged; a data set is missing or holds no numbers; their numbers of
            rows differ; h5py is needed and not installed.
    """
    content = read_bytes(path, error=DataError)
    try:
        if not _has_signature(content, 0):
            if not any(_has_signature(content, 512 << i) for i in range(_USER_BLOCKS)):
                raise DataError(f"'{path}' is not an HDF5 file")
            raise FormatError("it begins with a user block, as MATLAB's files do")
        tree = read_tree(content, only={name.split("/")[0] for name in names})
    except FormatError as problem:
        arrays = _read_with_library(path, names, problem)
    else:
        arrays = [_checked(path, name, _item(tree, name), tree) for name in names]
    rows = {name: len(array) for name, array in zip(names, arrays, strict=True)}
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"'{name}' {count}" for name, count in rows.items())
        raise DataError(f"the data sets of '{path}' have different numbers of rows: {listed}")
    if not len(arrays[0]):
        raise DataError(f"the data sets of '{path}' have no rows")
    return arrays


def _has_signature(content: npt.NDArray[np.uint8], offset: int) -> bool:
    return content[offset : offset + len(SIGNATURE)].tobytes() == SIGNATURE


def _item(tree: Tree, name: str) -> Tree | Values | None:
    item: Tree | Values | None = tree
    for part in name.split("/"):
        item = item.get(part) if isinstance(item, dict) else None
    return item


def _checked(path: Path, name: str, item: Tree | Values | None, tree: Tree) -> Floats:
    if item is None:
        raise _no_such(path, name, sorted(tree))
    if isinstance(item, dict):
        raise DataError(f"'{name}' of '{path}' is a group, not a data set")
    if not isinstance(item, np.ndarray):
        raise DataError(f"data set '{name}' of '{path}' holds text: HDF5Data takes numbers")
    if not item.ndim:
        raise _no_axes(path, name)
    return _floats(item)


def _floats(values: npt.NDArray[Any]) -> Floats:
    with np.errstate(over="ignore"):  # a float64 beyond float32 is infinite, as in Caffe
        return np.ascontiguousarray(values, np.float32)


def _no_such(path: Path, name: str, there: Sequence[str]) -> DataError:
    listed = ", ".join(f"'{other}'" for other in there) or "none"
    return DataError(f"'{path}' has no data set '{name}', which a top is named after; it has {listed}")


def _no_axes(path: Path, name: str) -> DataError:
    return DataError(f"data set '{name}' of '{path}' is one number without an axis: it needs rows")


def _read_with_library(path: Path, names: Sequence[str], problem: FormatError) -> list[Floats]:
    """As `read_arrays`, by h5py; `problem` is why."""
    try:
        import h5py
    except ImportError:
        raise DataError(missing(f"reading '{path}' ({problem})", "h5py", "hdf5")) from None
    try:
        with h5py.File(path, "r") as file:
            return [_library_array(h5py, path, file, name) for name in names]
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as failure:  # as the library has it
        reason = " ".join(str(failure).split())
        raise DataError(f"'{path}' is damaged or not a plain HDF5 file: {reason}") from None


def _library_array(h5py: Any, path: Path, file: Any, name: str) -> Floats:
    item = file.get(name)
    if item is None:
        raise _no_such(path, name, sorted(file))
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"'{name}' of '{path}' is a group, not a data set")
    if item.id.get_type().get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        raise DataError(
            f"data set '{name}' of '{path}' holds values of type {item.dtype}: HDF5Data takes numbers"
        )
    if not item.shape:
        raise _no_axes(path, name)
    size = math.prod(item.shape) * max(item.dtype.itemsize, 4)
    if size > machine_memory() / 2:
        raise DataError(
            f"data set '{name}' of '{path}' has shape {item.shape}: more than half of this machine's memory"
        )
    return _floats(item[()])

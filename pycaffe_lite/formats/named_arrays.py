"""Weights as arrays with names, in NumPy's .npz and in .safetensors: `conv1/0` is blob 0 of layer conv1.

Such a file knows layers and blobs, no types and no net: the prototxt says these.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import MAX_AXES, MAX_COUNT
from pycaffe_lite.errors import WeightsError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import StrPath, atomic_write, open_regular, read_bytes
from pycaffe_lite.formats.model import Array, Model, StoredBlob, StoredLayer

# What a packed file may unpack to: so many times its size, or what everybody has.
_MOST_COMPRESSION = 100
_ALWAYS_FINE = 2**24
_MOST_BLOBS = 256


def read_npz(path: StrPath) -> Model:
    """Reads weights from a .npz file.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is damaged, or holds something else; the message names the file.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    with open_regular(path, error=WeightsError) as file:
        try:
            size = file.seek(0, io.SEEK_END)
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
                if unpacked > max(size * _MOST_COMPRESSION, _ALWAYS_FINE):
                    raise WeightsError(f"'{path}' unpacks to {unpacked} bytes, more than it can be meant to")
                for entry in archive.infolist():
                    with archive.open(entry) as member:
                        arrays[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(
                            member, allow_pickle=False
                        )
        except (ValueError, EOFError, OSError, NotImplementedError, RuntimeError, KeyError) as error:
            raise _damaged(path, ".npz", error) from None
        except (zipfile.BadZipFile, zlib.error, SyntaxError, MemoryError) as error:
            raise _damaged(path, ".npz", error) from None
    return _model(path, arrays)


def read_safetensors(path: StrPath) -> Model:
    """Reads weights from a .safetensors file; half-precision numbers become float32.

    Raises:
        FileLookupError: the file is not there.
        WeightsError: it is damaged, or holds something else; the package safetensors is missing.
    """
    data = read_bytes(path, error=WeightsError)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError:
        raise WeightsError(missing(f"reading '{path}'", "safetensors", "safetensors")) from None
    try:
        return _model(path, load(data.tobytes()))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, ".safetensors", error) from None


def _damaged(path: StrPath, ending: str, error: BaseException) -> WeightsError:
    return WeightsError(f"'{path}' is damaged or no {ending} file: {' '.join(str(error).split())}")


def _model(path: StrPath, arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
    """The layers of arrays whose names are those of layers, a slash and the number of the blob."""
    layers: dict[str, dict[int, StoredBlob]] = {}
    for name, values in arrays.items():
        layer, _, number = name.rpartition("/")
        is_number = number.isascii() and number.isdigit() and len(number) < 4
        if not layer or not is_number or int(number) >= _MOST_BLOBS:
            raise WeightsError(f"'{path}' holds an array '{name}': blob 0 of layer conv1 is named 'conv1/0'")
        if values.dtype.kind not in "fiu" and values.dtype.name != "bfloat16":
            raise WeightsError(f"'{path}': '{name}' holds no numbers")
        if values.ndim > MAX_AXES or values.size > MAX_COUNT:
            raise WeightsError(f"'{path}': '{name}' has the impossible shape {values.shape}")
        blobs = layers.setdefault(layer, {})
        blobs[int(number)] = StoredBlob(_floats(values))
    return Model("", tuple(_layer(path, name, blobs) for name, blobs in layers.items()), source=str(path))


def _floats(values: npt.NDArray[Any]) -> Array:
    """The values as little-endian float32, or float64 if they are that."""
    floats: Array = values.astype(np.float64 if values.dtype == np.float64 else np.float32, copy=False)
    return floats


def _layer(path: StrPath, name: str, blobs: Mapping[int, StoredBlob]) -> StoredLayer:
    if set(blobs) != set(range(len(blobs))):
        missing_number = next(i for i in range(len(blobs)) if i not in blobs)
        raise WeightsError(
            f"'{path}' lacks '{name}/{missing_number}', blob {missing_number} of layer '{name}'"
        )
    return StoredLayer(name, blobs=tuple(blobs[i] for i in range(len(blobs))))


# ------------------------------------------------------------------------------------------------ writing


def write_npz(path: StrPath, model: Model) -> None:
    """Writes weights as a .npz file, whole or not at all.

    Raises:
        WeightsError: the file cannot be written.
    """
    with atomic_write(path, error=WeightsError) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in _named(model):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def write_safetensors(path: StrPath, model: Model) -> None:
    """Writes weights as a .safetensors file, whole or not at all.

    Raises:
        WeightsError: the file cannot be written; the package safetensors is missing.
    """
    try:
        from safetensors.numpy import save
    except ImportError:
        raise WeightsError(missing(f"writing '{path}'", "safetensors", "safetensors")) from None
    content = save(
        {name: np.ascontiguousarray(values) for name, values in _named(model)}, {"format": "caffe"}
    )
    with atomic_write(path, error=WeightsError) as file:
        file.write(content)


def _named(model: Model) -> Iterator[tuple[str, Array]]:
    """Each blob with its name."""
    seen: set[str] = set()
    for layer in model.layers:
        if layer.blobs and layer.name in seen:
            raise WeightsError(f"'{model.source}' has two layers '{layer.name}' with weights")
        seen.add(layer.name)
        for i, blob in enumerate(layer.blobs):
            if blob is not None:
                yield f"{layer.name}/{i}", np.array(blob.data, blob.data.dtype.newbyteorder("="))

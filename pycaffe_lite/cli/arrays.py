"""Arrays and pictures that users give to nets in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.net.net import Net

Arrays = dict[str, npt.NDArray[Any]]
_ARRAYS = (".npy", ".npz")


def read_inputs(file: Path, net: Net) -> Arrays:
    """The inputs of a net: from a .npz file, by name; or, for a net with one, from a .npy file or a picture.

    Raises:
        FileLookupError: the file is not there. DataError: it cannot be read, or does not suit the net.
    """
    arrays = (
        _read_arrays(file, net) if file.suffix.lower() in _ARRAYS else {net.inputs[0]: _pixels(file, net)}
    )
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise DataError(f"'{file}': '{name}' holds no numbers")
    return arrays


def _read_arrays(file: Path, net: Net) -> Arrays:
    try:
        content = np.load(file, allow_pickle=False)
        return {net.inputs[0]: content} if isinstance(content, np.ndarray) else dict(content)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{file}'") from None
    except Exception as error:  # whatever damaged files make of NumPy, zipfile and zlib
        raise DataError(f"cannot read '{file}': {error or type(error).__name__}") from None


def _pixels(file: Path, net: Net) -> npt.NDArray[np.float32]:
    """A picture in the form of a net's first input, (C, H, W), blue first, from 0 to 255."""
    shape = net.blobs[net.inputs[0]].shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise DataError(f"'{file}' is no .npy or .npz, and input '{net.inputs[0]}', {shape}, is no picture")
    resized = image.resize(image.read(file, shape[1] == 3).pixels, shape[2], shape[3])
    planes: npt.NDArray[np.float32] = resized.transpose(2, 0, 1).astype(np.float32)
    return planes

"""Arrays that users give to nets in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.net.net import Net


def read_inputs(file: Path, net: Net) -> dict[str, npt.NDArray[Any]]:
    """The inputs of a net from a .npz file, by name, or from a .npy file for a net with one.

    Raises:
        FileLookupError: the file is not there. DataError: it cannot be read, or holds no numbers.
    """
    try:
        content = np.load(file, allow_pickle=False)
        arrays = {net.inputs[0]: content} if isinstance(content, np.ndarray) else dict(content)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{file}'") from None
    except Exception as error:  # whatever damaged files make of NumPy, zipfile and zlib
        raise DataError(f"cannot read '{file}': {error or type(error).__name__}") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise DataError(f"'{file}': '{name}' holds no numbers")
    return arrays

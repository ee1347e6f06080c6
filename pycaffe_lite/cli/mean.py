"""`pycaffe-lite mean`: mean files from one format into the other."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from pycaffe_lite.cli.command import CaffeCommand, CaffeGroup
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.formats.atomic import atomic_write, open_regular

BINARYPROTO, NUMPY = ".binaryproto", ".npy"


@click.group("mean", cls=CaffeGroup)
def command() -> None:
    """Converts mean files."""


@command.command("convert", cls=CaffeCommand)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
def convert(source: Path, out: Path) -> None:
    """Converts a mean between .binaryproto and .npy.

    The names of IN and OUT end in .binaryproto, which prototxts name as `mean_file`, and in .npy, which
    scripts load with NumPy: an array of shape (channels, height, width), channels in the order blue, green,
    red.
    """
    start_log()
    endings = source.suffix, out.suffix
    if endings == (BINARYPROTO, NUMPY):
        values = binaryproto.read(source)
        if values.ndim == 4 and len(values) == 1:
            values = values[0]
        with atomic_write(out, error=DataError) as file:
            np.save(file, values)
    elif endings == (NUMPY, BINARYPROTO):
        values = _image(source)
        binaryproto.write(out, values[np.newaxis])
    else:
        raise click.UsageError(
            f"One name must end in {BINARYPROTO} and the other in {NUMPY}, got '{source}' and '{out}'."
        )
    echo(f"wrote {out}: {' x '.join(map(str, values.shape))}, mean {values.mean():g}")


def _image(path: Path) -> npt.NDArray[np.float32]:
    """The mean image of a .npy file, (C, H, W).

    Raises:
        FileLookupError: the file is not there. DataError: it holds something else.
    """
    try:
        with open_regular(path, error=DataError) as file:
            values = np.load(file, allow_pickle=False)
    except FileLookupError:
        raise
    except (ValueError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"'{path}' is damaged or not a NumPy file of numbers: {reason}") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise DataError(f"'{path}' does not hold an array of numbers")
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim != 3 or not values.size:
        hint = "; values for each channel go into the prototxt as mean_value" if values.ndim == 1 else ""
        raise DataError(
            f"'{path}' holds an array of shape {values.shape}, a mean image has (channels, height, "
            f"width){hint}"
        )
    return np.ascontiguousarray(values, np.float32)

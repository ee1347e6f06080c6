"""Pictures of a database's records: a sheet of the first ones, a file for each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_lite.data.contents import datum_message, file_kind
from pycaffe_lite.data.database import Reader, first_records
from pycaffe_lite.data.datum import Datum, DatumReader, Values
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_write, reason

if TYPE_CHECKING:
    from PIL.Image import Image

LIST_FILE = "list.txt"
_CELL, _MARGIN, _TEXT = 112, 6, 14  # pixels, of a sheet
_COLUMNS = 8
_LONGEST_NAME = 200


def draw_sheet(reader: Reader, count: int, out: Path) -> int:
    """Draws the next records, with their labels below, into a PNG file.

    Args:
        reader: of the database. count: how many records. out: the file, written whole.

    Raises:
        DataError: Pillow is missing; a record cannot be read or is no picture; the file cannot be written.
    """
    check_pillow()
    from PIL import Image, ImageDraw

    columns = min(_COLUMNS, count)
    width, height = _CELL + _MARGIN, _CELL + _TEXT + _MARGIN
    size = columns * width + _MARGIN, -(-count // columns) * height + _MARGIN
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (key, value) in enumerate(first_records(reader, count)):
        try:
            datum = _read(value)
            picture = _fitted(_picture(datum.values))
        except DataError as error:
            raise _placed(reader, key, error) from None
        left, top = _MARGIN + i % columns * width, _MARGIN + i // columns * height
        sheet.paste(picture, (left + (_CELL - picture.width) // 2, top + (_CELL - picture.height) // 2))
        pen.text((left, top + _CELL + 1), str(datum.label), fill="black")
    with atomic_write(out, error=DataError) as file:
        sheet.save(file, "PNG")
    return count


def check_pillow() -> None:
    """Raises a DataError where Pillow is missing."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise DataError(missing("writing pictures", "Pillow", "image")) from None


def export(reader: Reader, count: int, folder: Path, done: Callable[[], None]) -> None:
    """Writes the next records as files, and a list of them that convert-imageset takes.

    Encoded records are written as they are, bytes as PNG, floats as .npy, (C, H, W).

    Args:
        reader: of the database. count: how many records. folder: made, or empty. done: is called after each.

    Raises:
        DataError: Pillow is missing; a record cannot be read or is no picture; there is something in the
            folder, or it cannot be written.
    """
    check_pillow()
    datums = DatumReader()
    lines: list[str] = []
    names: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DataError(f"cannot write into '{folder}': there is something in it; name another folder")
        for key, value in first_records(reader, count):
            message = datum_message(reader, key, value)
            stem = _file_stem(key, names)
            if message.encoded:
                name = f"{stem}.{file_kind(message.data)[1]}"
                (folder / name).write_bytes(message.data)
            else:
                try:
                    name = _write_values(folder, stem, datums.read(value).values)
                except DataError as error:
                    raise _placed(reader, key, error) from None
            lines.append(f"{name} {message.label}\n")
            done()
    except OSError as error:
        raise DataError(f"cannot write into '{folder}': {reason(error)}") from None
    with atomic_write(folder / LIST_FILE, error=DataError) as file:
        file.write("".join(lines).encode())


def _write_values(folder: Path, stem: str, values: Values) -> str:
    """Writes a record's values as a picture, where they are that, or as an array; returns the name."""
    if values.dtype == np.uint8 and len(values) in (1, 3):
        name = f"{stem}.png"
        _picture(values).save(folder / name)
    else:
        name = f"{stem}.npy"
        np.save(folder / name, values)
    return name


def _read(message: bytes) -> Datum:
    """A record as it is stored; in colour where that is refused, as 16 bits a value are."""
    try:
        return DatumReader().read(message)
    except DataError:
        return DatumReader(True).read(message)


def _picture(values: Values) -> Image:
    """A record as a picture: of floats, the least value is black and the greatest white."""
    from PIL import Image

    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        values = np.uint8(np.round((values - low) * (255 / ((high - low) or 1))))
    if len(values) >= 3:
        return Image.fromarray(np.ascontiguousarray(values[2::-1].transpose(1, 2, 0)))
    return Image.fromarray(np.ascontiguousarray(values[0]))


def _fitted(picture: Image) -> Image:
    """A picture as large as a cell of the sheet takes; small ones are enlarged without smoothing."""
    from PIL.Image import Resampling

    scale = min(_CELL / picture.width, _CELL / picture.height)
    scale = int(scale) if scale >= 1 else scale
    size = max(int(picture.width * scale), 1), max(int(picture.height * scale), 1)
    return picture.convert("RGB").resize(size, Resampling.NEAREST if scale >= 1 else Resampling.BILINEAR)


def _file_stem(key: bytes, names: set[str]) -> str:
    """A name for a key's file, without an ending; it is not yet among the names, and will be."""
    name = re.sub(r"[^\w.+ -]", "_", key.decode("utf-8", "replace"))[:_LONGEST_NAME].lstrip(".")
    stem = wanted = re.sub(r"\.(jpe?g|png|bmp|tiff?|gif|webp)$", "", name, flags=re.IGNORECASE) or "record"
    number = 1
    while stem in names:
        number += 1
        stem = f"{wanted}_{number}"
    names.add(stem)
    return stem


def _placed(reader: Reader, key: bytes, error: DataError) -> DataError:
    return DataError(f"record '{key_text(key)}' of '{reader.path}': {error}")

"""Arrays as pictures: maps and kernels as tiles, in colours that tell sign and size, and sheets of these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import DataError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_path
from pycaffe_lite.printable import printable

Values = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]

# Tiles of a layer beyond which only the first are shown; the sheet says so.
MOST_TILES = 64
# Pixels: a tile's least side, between tiles, of a sheet's width, between its pictures, of a title's line.
TILE_SIDE, GAP, SHEET_WIDTH, MARGIN, LINE = 40, 2, 1200, 8, 16
_GROUND = np.array([128, 128, 128], np.uint8)
_TITLE_LETTERS = 150


class Section(NamedTuple):
    """A picture of a sheet, (H, W, 3) uint8, and the words above it."""

    title: str
    picture: Pixels


def signed(values: Values) -> Pixels:
    """Blue for values below 0, white for 0, red above; the largest size has the full colour.

    Args:
        values: of any shape; NaN and infinities are drawn grey.

    Returns:
        The same shape with a last axis of 3, uint8.
    """
    finite = np.isfinite(values)
    sizes = np.where(finite, values, 0).astype(np.float64)
    part = sizes / (np.abs(sizes).max(initial=0) or 1)
    red = np.where(part < 0, 1 + part, 1.0)
    blue = np.where(part > 0, 1 - part, 1.0)
    pixels = np.stack([red, 1 - np.abs(part), blue], axis=-1)
    pixels[~finite] = 0.5
    return _to_pixels(pixels)


def heat(values: Values) -> Pixels:
    """Black for the least value, over red and yellow, to white for the largest; shapes as for `signed`."""
    finite = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low, high = finite.min(initial=math.inf), finite.max(initial=-math.inf)
    part = 3 * (finite - low) / (high - low if high > low else 1)
    return _to_pixels(np.stack([part, part - 1, part - 2], axis=-1))


def _to_pixels(values: Values) -> Pixels:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def enlarged(picture: Pixels, side: int) -> Pixels:
    """A picture with each pixel as a square, so that its longer side has at least so many pixels."""
    factor = max(1, -(-side // max(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(tiles: Pixels, columns: int | None = None) -> Pixels:
    """Tiles side by side, row by row.

    Args:
        tiles: (N, H, W, 3), N at least 1. columns: in a row; None for a grid about as wide as high.
    """
    tiles = np.stack([enlarged(tile, TILE_SIDE) for tile in tiles])
    count, height, width, _ = tiles.shape
    columns = columns or math.ceil(math.sqrt(count * height / width))
    columns = min(columns, count)
    rows = -(-count // columns)
    out = np.tile(_GROUND, (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 1))
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (height + GAP), (i % columns) * (width + GAP)
        out[y : y + height, x : x + width] = tile
    return out


def activation_picture(values: Values) -> Pixels:
    """What a blob holds for one item: maps, (C, H, W), as tiles; a vector, or any other shape, as one band.

    Of more than MOST_TILES maps the first are shown. All tiles have one scale of colours.
    """
    if values.ndim == 3 and values.shape[1] * values.shape[2] > 1:
        return grid(signed(values[:MOST_TILES]))
    flat = values.reshape(-1)
    columns = min(len(flat), SHEET_WIDTH // 8)
    rows = -(-len(flat) // columns)
    cells = np.full(rows * columns, np.nan)
    cells[: len(flat)] = flat
    return enlarged(signed(cells.reshape(rows, columns)), columns * 6)


def filter_picture(weights: Values) -> Pixels:
    """Weights as a picture.

    Args:
        weights: kernels, (M, C, H, W): those of three channels in their colours (the first channel is blue,
            as in Caffe), others with a row for each of M and a column for each channel, MOST_TILES of both
            at most; a matrix, (M, K), as it is; a vector as a row.
    """
    if weights.ndim == 4 and weights.shape[2] * weights.shape[3] > 1:
        if weights.shape[1] == 3:
            kernels = weights[: MOST_TILES * 4, ::-1].transpose(0, 2, 3, 1).astype(np.float64)
            sizes = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
            return grid(_to_pixels(0.5 + kernels / np.where(sizes > 0, 2 * sizes, 1)))
        kernels = weights[:MOST_TILES, :MOST_TILES]
        columns = kernels.shape[1] if kernels.shape[1] > 1 else None
        return grid(signed(kernels.reshape(-1, *kernels.shape[2:])), columns)
    matrix = weights.reshape(weights.shape[0], -1) if weights.ndim > 1 else weights.reshape(1, -1)
    return enlarged(signed(matrix), 200)


def write_sheet(path: Path, sections: Sequence[Section]) -> None:
    """Writes pictures with their titles, as many beside each other as the sheet is wide, into a file.

    Args:
        path: of the file; its suffix says in which format. sections: in order.

    Raises:
        DataError: Pillow is not installed, does not know the format, or the file cannot be written.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise DataError(missing("drawing pictures", "Pillow", "image")) from None
    titles = [_title(section.title) for section in sections]
    places: list[tuple[int, int]] = []
    x = y = MARGIN
    row_height = width = 0
    for section, title in zip(sections, titles, strict=True):
        height, picture_width = section.picture.shape[:2]
        room = max(picture_width, round(6.5 * len(title)))
        if x > MARGIN and x + room > SHEET_WIDTH:
            x, y, row_height = MARGIN, y + row_height + MARGIN, 0
        places.append((x, y))
        width = max(width, x + room + MARGIN)
        x += room + 2 * MARGIN
        row_height = max(row_height, height + LINE)
    sheet = Image.new("RGB", (width, y + row_height + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    for section, title, place in zip(sections, titles, places, strict=True):
        pen.text(place, title, "black")
        sheet.paste(Image.fromarray(section.picture), (place[0], place[1] + LINE))
    try:
        with atomic_path(path, error=DataError) as temporary:
            sheet.save(temporary, format=_format_of(path, Image.registered_extensions()))
    except (KeyError, ValueError) as error:
        raise DataError(f"cannot draw '{path}': {error}") from None


def _format_of(path: Path, known: dict[str, str]) -> str:
    suffix = path.suffix.lower() or ".png"
    if suffix not in known:
        raise ValueError(f"'{suffix}' is no kind of picture that is written; .png is one")
    return known[suffix]


def _title(text: str) -> str:
    """A title in letters that every font has."""
    return printable(text, _TITLE_LETTERS).encode("ascii", "backslashreplace").decode()

"""Drawings of arrays as SVG: grids of numbers, arrows, and words beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from html import escape
from typing import Any

import numpy as np

INK, PALE = "#1f2430", "#8a8f99"
BLUE, ORANGE, GREEN, PURPLE, WHITE = "#dbe8f7", "#fce4c6", "#d8efd3", "#eadff5", "#ffffff"
MARK = "#d1495b"
CELL = 34


def number(value: float) -> str:
    """A number as it stands in a cell."""
    text = f"{value:.4f}".rstrip("0").rstrip(".") if value != round(value) else f"{value:.0f}"
    return text.replace("-0", "0", 1).replace("-", "−") if text == "-0" else text.replace("-", "−")


def shade(value: float, largest: float) -> str:
    """White for 0, blue below it, red above."""
    share = min(1.0, abs(value) / largest) if largest else 0.0
    r, g, b = (214, 96, 77) if value > 0 else (67, 130, 195)
    return "#" + "".join(f"{round(255 + (c - 255) * share * 0.75):02x}" for c in (r, g, b))


class Drawing:
    """An SVG picture that is added to piece by piece; positions are in pixels from the upper left corner.

    Args:
        width, height: of the picture. title: what it shows, for readers who do not see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.pieces = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="14">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>',
        ]

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "middle", size: int = 14, color: str = INK,
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Writes a line; y is its baseline."""
        weight = ' font-weight="bold"' if bold else ""
        self.pieces.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{weight}>'
            f"{escape(text)}</text>"
        )

    def rect(
        self, x: float, y: float, width: float, height: float, *, fill: str = "none", stroke: str = PALE,
        thick: float = 1,
    ) -> None:  # fmt: skip
        """Draws a rectangle."""
        self.pieces.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{thick:g}"/>'
        )

    def line(
        self, x0: float, y0: float, x1: float, y1: float, *, color: str = INK, thick: float = 1.5,
        tip: bool = False, dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draws a line, or with `tip` an arrow."""
        end = ' marker-end="url(#tip)"' if tip else ""
        gaps = ' stroke-dasharray="4 3"' if dashed else ""
        self.pieces.append(
            f'<path d="M{x0:g} {y0:g}L{x1:g} {y1:g}" stroke="{color}" stroke-width="{thick:g}" '
            f'fill="none"{gaps}{end}/>'
        )

    def grid(
        self,
        x: float,
        y: float,
        values: Any,
        *,
        title: str = "",
        fill: str = WHITE,
        shaded: bool = False,
        marked: Collection[tuple[int, int]] = (),
        pale: Collection[tuple[int, int]] = (),
        cell: int = CELL,
        width: int | None = None,
    ) -> None:
        """Draws an array as cells with its numbers.

        Args:
            x, y: of its upper left corner. values: a 2-D array. title: above it.
            fill: of its cells. shaded: fills them by their values instead.
            marked: cells with a thick red border. pale: cells without a fill, with pale numbers.
            cell, width: the height and the width of a cell.
        """
        array = np.atleast_2d(np.asarray(values, float))
        width = width or cell
        largest = float(np.abs(array).max())
        if title:
            self.text(x + array.shape[1] * width / 2, y - 9, title, bold=True)
        for (row, column), value in np.ndenumerate(array):
            left, top = x + column * width, y + row * cell
            is_pale = (row, column) in pale
            color = WHITE if is_pale else shade(value, largest) if shaded else fill
            self.rect(left, top, width, cell, fill=color)
            size = 14 if len(number(value)) < 5 else 11
            self.text(
                left + width / 2, top + cell / 2 + 5, number(value), size=size, color=PALE if is_pale else INK
            )
        for row, column in marked:
            self.rect(x + column * width + 1, y + row * cell + 1, width - 2, cell - 2, stroke=MARK, thick=2.5)

    def frame(self, x: float, y: float, cells: tuple[int, int, int, int], cell: int = CELL) -> None:
        """Frames cells of a grid at (x, y): first row, first column, rows, columns."""
        row, column, rows, columns = cells
        self.rect(x + column * cell, y + row * cell, columns * cell, rows * cell, stroke=MARK, thick=3)

    def note(
        self, x: float, y: float, lines: Iterable[str], *, anchor: str = "start", size: int = 13
    ) -> None:
        """Writes lines below each other."""
        for i, line in enumerate(lines):
            self.text(x, y + i * (size + 6), line, anchor=anchor, size=size)

    def svg(self) -> str:
        """The picture."""
        return "\n".join([*self.pieces, "</svg>", ""])

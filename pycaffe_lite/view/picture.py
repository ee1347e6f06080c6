"""Pictures of graphs that are laid out: SVG by our own hand, other formats by matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import pairwise
from typing import Any

from pycaffe_lite.errors import ArgumentError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.printable import printable
from pycaffe_lite.view.layout import Point, lay_out

# Sizes in pixels at 72 to the inch.
LETTER, LINE, FONT, LABEL_FONT = 7.0, 15.0, 12, 10
LABEL_LETTER = 5.6

NodeLines = tuple[Sequence[str], Mapping[str, str]]


class Picture:
    """A graph with a place for each node and a curve for each edge.

    Args:
        title: of the picture. rankdir: where edges lead.
        nodes: by key the lines of each label, and its style as Graphviz has it (`fillcolor`, `shape`).
        edges: keys of their two ends, and a label.
    """

    def __init__(
        self,
        title: str,
        rankdir: str,
        nodes: Mapping[str, NodeLines],
        edges: Sequence[tuple[str, str, str]],
    ) -> None:
        self.title = title
        self.edges = edges
        self.is_sideways = rankdir in ("LR", "RL")
        self.lines = {key: [printable(line) for line in lines] for key, (lines, _) in nodes.items()}
        self.styles = {key: style for key, (_, style) in nodes.items()}
        sizes = {
            key: (max(map(len, lines)) * LETTER + 16, len(lines) * LINE + 10)
            for key, lines in self.lines.items()
        }
        labels = [
            (len(printable(label)) * LABEL_LETTER + 8, float(LABEL_FONT)) if label else (0.0, 0.0)
            for _, _, label in edges
        ]
        self.layout = lay_out(sizes, [edge[:2] for edge in edges], rankdir, labels)
        self._said: dict[str, set[str]] = {}  # the labels of the edges that begin at a node
        for source, _, label in edges:
            self._said.setdefault(source, set()).add(label)

    def curve(self, index: int) -> list[Point]:
        """The points of an edge's curve: its beginning, then three for each cubic piece."""
        route = self.layout.routes[index]
        points = [route[0]]
        for (x, y), (end_x, end_y) in pairwise(route):
            bend_x, bend_y = (end_x - x) / 2, (end_y - y) / 2
            if self.is_sideways:
                points += [(x + bend_x, y), (end_x - bend_x, end_y), (end_x, end_y)]
            else:
                points += [(x, y + bend_y), (end_x, end_y - bend_y), (end_x, end_y)]
        return points

    def place_of_label(self, index: int) -> Point:
        """Where an edge's label begins: beside the beginning of the edge, where the edge does not go.

        Where edges with other labels begin there, too, that would be nearer to one of those. It stands then
        beside the middle of the edge's first piece, on the side to which the edge goes.
        """
        (x, y), (end_x, end_y) = self.layout.routes[index][:2]
        source, _, label = self.edges[index]
        width = len(printable(label)) * LABEL_LETTER
        if len(self._said[source]) > 1:
            middle_x, middle_y = (x + end_x) / 2, (y + end_y) / 2
            if self.is_sideways:
                return middle_x - width / 2, middle_y + (17 if end_y > y else -9)
            beside = middle_x - 5 - width if end_x < x else middle_x + 5
            return min(max(beside, 2), max(self.layout.width - width - 2, 2)), middle_y
        if self.is_sideways:
            return (x + 5 if end_x >= x else x - 5 - width), y + (-5 if end_y >= y else 13)
        return (x - 5 - width if end_x > x + 1 else x + 5), y + (13 if end_y >= y else -6)

    def corners(self, key: str) -> list[Point]:
        """The outline of a node: a rectangle, or an octagon."""
        x, y, width, height = self.layout.boxes[key]
        w, h = width / 2, height / 2
        cut = min(w, h) / 2 if self.styles[key].get("shape") == "octagon" else 0.0
        signs = ((1, -1), (1, 1), (-1, 1), (-1, -1))
        points: list[Point] = []
        for i, (sx, sy) in enumerate(signs):
            ends = (x + sx * (w - cut), y + sy * h), (x + sx * w, y + sy * (h - cut))
            points.extend(ends if i % 2 == 0 else ends[::-1])
        return points

    def text(self, key: str) -> Iterable[tuple[float, float, str]]:
        """The lines of a node's label, each with the middle of its base line."""
        box, lines = self.layout.boxes[key], self.lines[key]
        top = box.y - len(lines) * LINE / 2
        return [(box.x, top + (i + 0.75) * LINE, line) for i, line in enumerate(lines)]

    def svg(self) -> str:
        """The picture as SVG; each node is a group whose `data-key` is the node's key."""
        width, height = self.layout.width, self.layout.height
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="{FONT}" '
            'text-anchor="middle">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
            f"<title>{escape(printable(self.title))}</title>",
        ]
        for i in range(len(self.edges)):
            points = [f"{x:.1f} {y:.1f}" for x, y in self.curve(i)]
            pieces = "".join("C" + " ".join(points[k : k + 3]) for k in range(1, len(points), 3))
            out.append(f'<path d="M{points[0]}{pieces}" fill="none" stroke="black" marker-end="url(#head)"/>')
        for key, style in self.styles.items():
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.corners(key))
            fill = escape(style.get("fillcolor", "white"))
            out.append(
                f'<g data-key="{escape(printable(key))}"><polygon points="{corners}" fill="{fill}" '
                'stroke="black"/>'
            )
            out += [f'<text x="{x:.1f}" y="{y:.1f}">{escape(line)}</text>' for x, y, line in self.text(key)]
            out.append("</g>")
        for i, (_, _, label) in enumerate(self.edges):
            if label:
                x, y = self.place_of_label(i)
                halo = 'stroke="white" stroke-width="3" paint-order="stroke"'
                out.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="start" font-size="{LABEL_FONT}" {halo}>'
                    f"{escape(printable(label))}</text>"
                )
        return "\n".join([*out, "</svg>", ""])

    def by_matplotlib(self, format: str) -> bytes:
        """The picture in one of the formats that matplotlib writes."""
        try:
            from matplotlib import patheffects
            from matplotlib.figure import Figure
            from matplotlib.patches import FancyArrowPatch, Polygon
            from matplotlib.path import Path as Line
        except ImportError:
            what = f"drawing {format} needs Graphviz's program dot, or matplotlib; svg needs neither"
            raise PycaffeError(f"{what}: {missing('it', 'matplotlib', 'plot')}") from None
        width, height = self.layout.width, self.layout.height
        # Raster formats have an end at 2**16 pixels a side.
        figure = Figure(figsize=(width / 72, height / 72), dpi=min(72.0, 72 * 60_000 / max(width, height)))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        place: Any = {"va": "baseline", "parse_math": False}
        for i in range(len(self.edges)):
            curve = self.curve(i)
            line = Line(curve, [Line.MOVETO, *[Line.CURVE4] * (len(curve) - 1)])
            axes.add_patch(FancyArrowPatch(path=line, arrowstyle="-|>", mutation_scale=8, color="black"))
        for key, style in self.styles.items():
            fill = style.get("fillcolor", "white")
            axes.add_patch(Polygon(self.corners(key), facecolor=fill, edgecolor="black", zorder=2))
            for x, y, text in self.text(key):
                axes.text(x, y, text, ha="center", fontsize=FONT - 2, **place)
        halo = [patheffects.withStroke(linewidth=2, foreground="white")]
        for i, (_, _, label) in enumerate(self.edges):
            if label:
                at = self.place_of_label(i)
                shown = printable(label)
                axes.text(*at, shown, ha="left", fontsize=LABEL_FONT - 2, path_effects=halo, **place)
        out = BytesIO()
        try:
            with warnings.catch_warnings():
                # A name may have letters that the font lacks.
                warnings.simplefilter("ignore", UserWarning)
                figure.savefig(out, format=format)
        except ValueError as error:
            raise ArgumentError(f"cannot draw '{format}': {error}") from None
        return out.getvalue()

"""Directed graphs in Graphviz's language, and pictures of them where Graphviz is not installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from pycaffe_lite.errors import ArgumentError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.printable import printable

_PLAIN = re.compile(r"[A-Za-z_]\w*|-?\d+", re.ASCII)
_BEFORE_QUOTE = re.compile(r'\\+(?="|\Z)')
_TEXTS = ("dot", "gv", "raw")
# Sizes in pixels at 72 to the inch: of letters, and between nodes.
_LETTER, _LINE, _FONT = 7.0, 15.0, 12
_MARGIN, _NODE_GAP, _RANK_GAP = 16.0, 18.0, 42.0
_SWEEPS = 6


@dataclass(frozen=True)
class Node:
    """A node; its label is also its name in Graphviz's language, lines parted by a backslash and an n."""

    label: str
    style: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Graph:
    """A directed graph.

    Attributes:
        name: of the graph. rankdir: where its edges lead, LR, TB, BT or RL.
        nodes: by a key of the caller's. edges: keys of their two ends, and a label, empty for none.
    """

    name: str
    rankdir: str = "TB"
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str, str]] = field(default_factory=list)

    def to_string(self) -> str:
        """The graph in Graphviz's language."""
        lines = [f"digraph {_quoted(self.name)} {{", f"rankdir={self.rankdir};"]
        for node in self.nodes.values():
            style = ", ".join(f"{key}={_quoted(value)}" for key, value in node.style.items())
            lines.append(f"{_quoted(node.label)} [{style}];" if style else f"{_quoted(node.label)};")
        for source, target, label in self.edges:
            ends = f"{_quoted(self.nodes[source].label)} -> {_quoted(self.nodes[target].label)}"
            lines.append(f"{ends} [label={_quoted(label)}];")
        return "\n".join([*lines, "}", ""])

    def create(self, format: str = "png") -> bytes:
        """The graph as a picture: laid out by Graphviz's `dot` where that is installed, else here.

        Args:
            format: png, svg, pdf, or another that Graphviz or matplotlib writes; dot, gv, raw: the text.

        Raises:
            PycaffeError: Graphviz and matplotlib are both not installed, and the format is not svg.
            ArgumentError: there is no such format.
        """
        if format in _TEXTS:
            return self.to_string().encode()
        if program := shutil.which("dot"):
            done = subprocess.run(
                [program, f"-T{format}"], input=self.to_string().encode(), capture_output=True, check=False
            )
            if done.returncode:
                raise ArgumentError(f"Graphviz cannot draw {format}: {done.stderr.decode(errors='replace')}")
            return done.stdout
        picture = _Picture(self)
        return picture.svg().encode() if format == "svg" else picture.by_matplotlib(format)

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Writes the picture, whole or not at all.

        Args:
            path: of the file. format: as for `create`; None: the suffix of the path.

        Raises:
            PycaffeError: it cannot be written; and as `create`.
        """
        data = self.create(format or Path(path).suffix.removeprefix(".") or "raw")
        with atomic_write(path, error=PycaffeError) as file:
            file.write(data)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    # A backslash before a quote, or at the end, would take the quote with it.
    body = _BEFORE_QUOTE.sub(lambda found: 2 * found[0], text).replace('"', r"\"")
    return f'"{body}"'


# ---------------------------------------------------------------------------------------------- the picture


class _Box(NamedTuple):
    """Where a node is: its middle and its size."""

    x: float
    y: float
    width: float
    height: float


class _Picture:
    """Nodes in ranks, one after the other in the direction of the edges, and curves between them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lines = {
            key: [printable(line) for line in node.label.split(r"\n")] for key, node in graph.nodes.items()
        }
        is_sideways = graph.rankdir in ("LR", "RL")
        sizes = {
            key: (max(map(len, lines)) * _LETTER + 16, len(lines) * _LINE + 10)
            for key, lines in self.lines.items()
        }
        ranks = _ranks(list(graph.nodes), [(source, target) for source, target, _ in graph.edges])
        _order(ranks, [(source, target) for source, target, _ in graph.edges])
        self.boxes: dict[str, _Box] = {}
        across = {key: size[1 if is_sideways else 0] for key, size in sizes.items()}
        along = {key: size[0 if is_sideways else 1] for key, size in sizes.items()}
        widest = max((sum(across[key] + _NODE_GAP for key in rank) for rank in ranks), default=0.0)
        depth = _MARGIN
        for rank in ranks:
            thickness = max(along[key] for key in rank)
            place = _MARGIN + (widest - sum(across[key] + _NODE_GAP for key in rank)) / 2
            for key in rank:
                centre = place + (across[key] + _NODE_GAP) / 2, depth + thickness / 2
                x, y = centre[::-1] if is_sideways else centre
                self.boxes[key] = _Box(x, y, *sizes[key])
                place += across[key] + _NODE_GAP
            depth += thickness + _RANK_GAP
        depth += _MARGIN - _RANK_GAP
        widest += 2 * _MARGIN
        self.width, self.height = (depth, widest) if is_sideways else (widest, depth)
        if graph.rankdir in ("BT", "RL"):
            self._turn_round(is_sideways)

    def _turn_round(self, is_sideways: bool) -> None:
        for key, box in self.boxes.items():
            x, y = (self.width - box.x, box.y) if is_sideways else (box.x, self.height - box.y)
            self.boxes[key] = box._replace(x=x, y=y)

    def curve(self, source: str, target: str) -> list[tuple[float, float]]:
        """The four points of an edge's curve: its ends, and where it heads from there."""
        a, b = self.boxes[source], self.boxes[target]
        if self.graph.rankdir in ("LR", "RL"):
            sign = 1 if a.x <= b.x else -1
            start, end = (a.x + sign * a.width / 2, a.y), (b.x - sign * b.width / 2, b.y)
            bend = (end[0] - start[0]) / 2
            return [start, (start[0] + bend, start[1]), (end[0] - bend, end[1]), end]
        sign = 1 if a.y <= b.y else -1
        start, end = (a.x, a.y + sign * a.height / 2), (b.x, b.y - sign * b.height / 2)
        bend = (end[1] - start[1]) / 2
        return [start, (start[0], start[1] + bend), (end[0], end[1] - bend), end]

    def place_of_label(self, curve: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """Where an edge's label stands: at the middle of its curve, beside the line."""
        (x0, y0), (x3, y3) = curve[0], curve[3]
        beside = (0, -4) if self.graph.rankdir in ("LR", "RL") else (14, 4)
        return (x0 + x3) / 2 + beside[0], (y0 + y3) / 2 + beside[1]

    def corners(self, key: str) -> list[tuple[float, float]]:
        """The outline of a node: a rectangle, or an octagon."""
        x, y, width, height = self.boxes[key]
        w, h = width / 2, height / 2
        cut = min(w, h) / 2 if self.graph.nodes[key].style.get("shape") == "octagon" else 0.0
        signs = ((1, -1), (1, 1), (-1, 1), (-1, -1))
        points: list[tuple[float, float]] = []
        for i, (sx, sy) in enumerate(signs):
            ends = (x + sx * (w - cut), y + sy * h), (x + sx * w, y + sy * (h - cut))
            points.extend(ends if i % 2 == 0 else ends[::-1])
        return points

    def svg(self) -> str:
        """The picture as SVG."""
        size = f'width="{self.width:.0f}" height="{self.height:.0f}"'
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="{_FONT}" '
            'text-anchor="middle">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>',
            f"<title>{escape(printable(self.graph.name))}</title>",
        ]
        for source, target, label in self.graph.edges:
            curve = self.curve(source, target)
            a, b, c, d = (f"{x:.1f} {y:.1f}" for x, y in curve)
            out.append(f'<path d="M{a}C{b} {c} {d}" fill="none" stroke="black" marker-end="url(#head)"/>')
            if label:
                x, y = self.place_of_label(curve)
                out.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(printable(label))}</text>')
        for key, node in self.graph.nodes.items():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.corners(key))
            fill = escape(node.style.get("fillcolor", "white"))
            out.append(f'<polygon points="{points}" fill="{fill}" stroke="black"/>')
            for x, y, line in self.text(key):
                out.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(line)}</text>')
        return "\n".join([*out, "</svg>", ""])

    def text(self, key: str) -> Iterable[tuple[float, float, str]]:
        """The lines of a node's label, each with the middle of its base line."""
        box, lines = self.boxes[key], self.lines[key]
        top = box.y - len(lines) * _LINE / 2
        return [(box.x, top + (i + 0.75) * _LINE, line) for i, line in enumerate(lines)]

    def by_matplotlib(self, format: str) -> bytes:
        """The picture in one of the formats that matplotlib writes."""
        try:
            from matplotlib.figure import Figure
            from matplotlib.patches import FancyArrowPatch, Polygon
            from matplotlib.path import Path as Line
        except ImportError:
            what = f"drawing {format} needs Graphviz's program dot, or matplotlib; svg needs neither"
            raise PycaffeError(f"{what}: {missing('it', 'matplotlib', 'plot')}") from None
        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        place: Any = {"ha": "center", "va": "baseline", "fontsize": _FONT - 2, "parse_math": False}
        for source, target, label in self.graph.edges:
            curve = self.curve(source, target)
            line = Line(curve, [Line.MOVETO, *[Line.CURVE4] * 3])
            axes.add_patch(FancyArrowPatch(path=line, arrowstyle="-|>", mutation_scale=8, color="black"))
            if label:
                axes.text(*self.place_of_label(curve), label, **place)
        for key, node in self.graph.nodes.items():
            fill = node.style.get("fillcolor", "white")
            axes.add_patch(Polygon(self.corners(key), facecolor=fill, edgecolor="black"))
            for x, y, text in self.text(key):
                axes.text(x, y, text, **place)
        out = BytesIO()
        try:
            with warnings.catch_warnings():
                # A name may have letters that the font lacks.
                warnings.simplefilter("ignore", UserWarning)
                figure.savefig(out, format=format)
        except ValueError as error:
            raise ArgumentError(f"cannot draw '{format}': {error}") from None
        return out.getvalue()


def _ranks(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The nodes in ranks, each as far on as the longest way to it, once circles are cut open.

    Layers that work in place make circles: their blob's edge back to them is left out of account.
    """
    targets: dict[str, list[str]] = {key: [] for key in keys}
    for source, target in edges:
        targets[source].append(target)
    finished: list[str] = []  # each behind all that it leads to
    state = dict.fromkeys(keys, 0)  # 1: on the way, 2: finished
    forward: dict[str, list[str]] = {key: [] for key in keys}
    for start in keys:
        stack = [(start, iter(targets[start]))] if state[start] == 0 else []
        state[start] = max(state[start], 1)
        while stack:
            key, rest = stack[-1]
            target = next((t for t in rest if state[t] != 1), "")
            if not target:
                state[key] = 2
                finished.append(key)
                stack.pop()
                continue
            forward[key].append(target)
            if state[target] == 0:
                state[target] = 1
                stack.append((target, iter(targets[target])))
    depth = dict.fromkeys(keys, 0)
    for key in reversed(finished):
        for target in forward[key]:
            depth[target] = max(depth[target], depth[key] + 1)
    ranks: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key in keys:
        ranks[depth[key]].append(key)
    return ranks


def _order(ranks: list[list[str]], edges: Sequence[tuple[str, str]]) -> None:
    """Sorts the nodes of each rank by the middle of their neighbours', so that fewer edges cross."""
    neighbours: dict[str, list[str]] = {key: [] for rank in ranks for key in rank}
    for source, target in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    place = {key: i - (len(rank) - 1) / 2 for rank in ranks for i, key in enumerate(rank)}

    def middle(key: str) -> float:
        near = neighbours[key]
        return sum(place[other] for other in near) / len(near) if near else place[key]

    for sweep in range(_SWEEPS):
        for rank in ranks if sweep % 2 == 0 else reversed(ranks):
            rank.sort(key=middle)
            place.update({key: i - (len(rank) - 1) / 2 for i, key in enumerate(rank)})

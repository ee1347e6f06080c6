"""Directed graphs in Graphviz's language, and pictures of them that need no Graphviz."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pycaffe_lite.errors import ArgumentError, PycaffeError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.printable import printable
from pycaffe_lite.view.picture import Picture

_PLAIN = re.compile(r"[A-Za-z_]\w*|-?\d+", re.ASCII)
# A backslash that would take the quote behind it, or the one at the end: what is left of pairs.
_LONE = re.compile(r'(?<!\\)(?:\\\\)*\\(?="|\Z)')
_TEXTS = ("dot", "gv", "raw")


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
        """The graph as a picture: laid out by Graphviz's `dot` where that is installed, else as by `draw`.

        Args:
            format: png, svg, pdf, or another that Graphviz or matplotlib writes; dot, gv, raw: the text.

        Raises:
            PycaffeError: Graphviz and matplotlib are both not installed, and the format is not svg.
            ArgumentError: there is no such format.
        """
        program = None if format in _TEXTS else shutil.which("dot")
        if program is None:
            return self.draw(format)
        done = subprocess.run(
            [program, f"-T{format}"], input=self.to_string().encode(), capture_output=True, check=False
        )
        if done.returncode:
            raise ArgumentError(f"Graphviz cannot draw {format}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def draw(self, format: str = "png") -> bytes:
        """The graph as a picture, the same on every machine.

        Args:
            format: svg; png, pdf, or another that matplotlib writes; dot, gv, raw: the text.

        Raises:
            PycaffeError: matplotlib is not installed, and the format is not svg.
            ArgumentError: there is no such format.
        """
        if format in _TEXTS:
            return self.to_string().encode()
        picture = self.picture()
        return picture.svg().encode() if format == "svg" else picture.by_matplotlib(format)

    def picture(self) -> Picture:
        """The graph laid out."""
        nodes = {key: (_lines(node.label), node.style) for key, node in self.nodes.items()}
        return Picture(self.name, self.rankdir, nodes, self.edges)

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Writes the picture that `create` makes, whole or not at all.

        Args:
            path: of the file. format: as for `create`; None: the suffix of the path.

        Raises:
            PycaffeError: it cannot be written; and as `create`.
        """
        data = self.create(format or Path(path).suffix.removeprefix(".") or "raw")
        with atomic_write(path, error=PycaffeError) as file:
            file.write(data)


def escaped(text: str) -> str:
    """A text of one line as part of a label: printable, with the backslashes that it has doubled."""
    return printable(text).replace("\\", "\\\\")


def _lines(label: str) -> list[str]:
    """The lines of a label, with single backslashes where it has two."""
    lines = [""]
    for part in re.findall(r"\\\\|\\n|\\|[^\\]+", label):
        if part == r"\n":
            lines.append("")
        else:
            lines[-1] += "\\" if part == "\\\\" else part
    return lines


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    body = _LONE.sub(lambda found: found[0] + "\\", text).replace('"', r"\"")
    return f'"{body}"'

"""Puts the lines of functions into the links that pages have to them.

    python docs/source_lines.py

A link such as [`inner_product.forward`](../pycaffe_lite/kernels/inner_product.py#L20) names what it leads to:
a function, a class, or a method of a class, behind the name of its module or without it. tests/test_site.py
checks that all links are up to date.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parent
LINK = re.compile(r"\[`([\w.]+)`\]\(([\w./-]+\.py)#L\d+\)")


@cache
def lines_of(file: Path) -> dict[str, int]:
    """The line of each function, class and method of a file."""
    lines: dict[str, int] = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            lines[node.name] = node.lineno
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    lines[f"{node.name}.{member.name}"] = member.lineno
    return lines


def line_of(name: str, file: Path) -> int:
    """The line of what a link names.

    Raises:
        KeyError: the file has nothing of that name.
    """
    module = file.parent.name if file.stem == "__init__" else file.stem
    lines, without_module = lines_of(file), name.removeprefix(f"{module}.")
    if without_module not in lines:
        raise KeyError(f"{file.name} has no '{name}'")
    return lines[without_module]


def refreshed(page: Path) -> str:
    """A page's text with the lines as they are."""

    def with_line(link: re.Match[str]) -> str:
        name, target = link.groups()
        line = line_of(name, (page.parent / target).resolve())
        return f"[`{name}`]({target}#L{line})"

    return LINK.sub(with_line, page.read_text())


def pages() -> list[Path]:
    """The pages of docs/."""
    return [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("backpropagation/*.md"))]


if __name__ == "__main__":
    for page in pages():
        page.write_text(refreshed(page))

"""Docstrings as this package writes them, made fit for reStructuredText.

They are plain text: backquotes mark code; a paragraph that is indented, or whose lines are aligned in
columns, is shown as it is; a section such as `Args` may name several things in one line. Stars, bars and
underscores mean themselves.
"""

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

SECTION = re.compile(r"(?:Args|Attributes|Raises|Returns|Yields):$")
# What a section's entry begins with, behind the sentence of the entry before it.
NEXT = re.compile(r"(?<=[.;?)])\s+(?=\*{0,2}[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*(?: and [A-Za-z_]\w*)?: )")
# What a layer's docstring says of its blobs and its origin gets a paragraph each.
PART = re.compile(r"(?<=[.)])\s+(?=(?:Bottom|Top|Blobs|Papers?|Source): )")
FIRST = ("Bottom:", "Top:", "Blobs:", "Paper:", "Papers:", "Source:", "Raises ")


def plain(text: str) -> str:
    """Text whose stars, bars and underscores reStructuredText leaves as they are, and `code` as ``code``."""
    pieces = re.split(r"`([^`]+)`", text)
    result = ""
    for i, piece in enumerate(pieces):
        if i % 2:
            before = "" if not result or result[-1] in " (['\"-/" else r"\ "
            after = r"\ " if pieces[i + 1][:1].isalnum() else ""
            result += f"{before}``{piece.strip()}``{after}"
        else:
            result += re.sub(r"_(?!\w)", r"\\_", re.sub(r"([\\*|])", r"\\\1", piece))
    return result


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """The lines between blank ones; code that goes over the end of a line is put into one."""
    current: list[str] = []
    for line in [*lines, ""]:
        if current and current[-1].count("`") % 2 and line.strip():
            current[-1] += " " + line.strip()
        elif line.strip():
            current.append(line)
        elif current:
            yield current
            current = []


def indent_of(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip())


def entries(lines: list[str]) -> Iterator[str]:
    """What a section names, a line each: `x: this. y: that.` are two."""
    least = min(map(indent_of, lines))
    joined: list[str] = []
    for line in lines:
        if indent_of(line) == least:
            joined.append(line.strip())
        else:
            joined[-1] += " " + line.strip()
    for entry in joined:
        for part in NEXT.split(entry) if ": " in entry else [entry]:
            yield " " * 4 + plain(part)


def rewritten(lines: list[str]) -> Iterator[str]:
    """The docstring's lines for reStructuredText."""
    for paragraph in paragraphs(lines):
        if SECTION.match(paragraph[0]):
            yield paragraph[0]
            if len(paragraph) > 1:
                yield from entries(paragraph[1:])
        elif indent_of(paragraph[0]):
            yield from ("::", "", *paragraph)
        elif paragraph[0].startswith("- "):
            yield from map(plain, paragraph)
        elif any("   " in line for line in paragraph):
            yield from ("::", "", *("    " + line for line in paragraph))
        else:
            for line in paragraph:
                for part in PART.split(line):
                    if part.startswith(FIRST):
                        yield ""
                    yield plain(part)
        yield ""


def rewrite(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Rewrites a docstring before napoleon reads its sections."""
    lines[:] = rewritten(lines)


def signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str | None, returns: str | None
) -> tuple[str, None] | None:
    """No arguments for layer types, which nets make; what they have in common is no news."""
    return ("", None) if what == "class" and name.startswith("pycaffe_lite.layer.") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("autodoc-process-docstring", rewrite, priority=100)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The tree of pages, taken from the lists of links in `index.md`.

That page is plain Markdown: lists of links below headings. Here each list becomes a hidden table of contents
with the heading as its caption. Pages that it does not name are put at the end, so that a new page is never
lost. The page of the command line gets the pages of the commands as its parts.
"""

import re

from sphinx.application import Sphinx

from pycaffe_lite.cli import main


def listed(text: str, known: set[str]) -> dict[str, list[str]]:
    """The pages that a page links to in its lists, by the heading above them."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("- "):
            pages = re.findall(r"\]\(([^)#:]+)\.(?:md|rst)\)", line)
            found.setdefault(heading, []).extend(page for page in pages if page in known)
    return found


def toctree(caption: str, entries: list[str]) -> str:
    """A hidden table of contents, as MyST writes it."""
    name = f":caption: {caption}\n" if caption else ""
    return "\n\n```{toctree}\n:hidden:\n" + name + "\n" + "\n".join(entries) + "\n```\n"


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Adds tables of contents to the two pages that have some."""
    if docname == "command-line":
        source[0] += toctree("", [f"{name} </commands/{name}>" for name in main.commands])
    if docname == app.config.root_doc:
        known = app.env.found_docs
        sections = listed(source[0], known)
        named = {docname, *(page for pages in sections.values() for page in pages)}
        sections["More"] = sorted(page for page in known - named if "/" not in page)
        for heading, pages in sections.items():
            if pages:
                source[0] += toctree(heading, [f"/{page}" for page in pages])


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("source-read", add_contents, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

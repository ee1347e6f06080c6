"""Links to files of the repository that are not pages of the site.

On a code host `[forward](../../pycaffe_lite/kernels/relu.py#L7)` leads to a line of a source file. Here it
does, too: each file that a page links to becomes a page with numbered lines. The Markdown files in `PAGES`
become pages of the site: a copy with its links made to fit, in `project/`. Commands in the table of
`command-line.md` become links to their pages.
"""

import os.path
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

from pycaffe_lite.cli import main

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(#[^)]*)?\)")
# Files outside of docs/ that are pages, and the pages they are.
PAGES = {
    "CONTRIBUTING.md": "project/contributing",
    "CHANGELOG.md": "project/changes",
    "models/lenet/mnist/README.md": "project/mnist",
    "models/shapes/README.md": "project/shapes",
    "models/digits/README.md": "project/digits",
    "models/ssd_shapes/README.md": "project/ssd_shapes",
}
SOURCES = "source"  # the folder of the pages of source files
LINKED: set[str] = set()  # the files that the pages of this build link to


def copy_pages(app: Sphinx) -> None:
    """Copies the Markdown files that are pages to where the site finds them."""
    LINKED.clear()
    for file, page in PAGES.items():
        copy = Path(app.srcdir) / f"{page}.md"
        copy.parent.mkdir(exist_ok=True)
        copy.write_text((ROOT / file).read_text())


def place_of(docname: str) -> str:
    """The file of the repository from which a page is made."""
    originals = {page: file for file, page in PAGES.items()}
    return originals.get(docname, f"docs/{docname}.md")


def target_for(docname: str, target: str, anchor: str) -> str:
    """What a link of a page is in the site.

    Raises:
        FileNotFoundError: it leads nowhere.
    """
    file = os.path.normpath(os.path.join(os.path.dirname(place_of(docname)), target))
    path = ROOT / file
    if path.is_dir():
        file, path = f"{file}/README.md", path / "README.md"
    if not path.exists():
        raise FileNotFoundError(f"{place_of(docname)}: there is no '{file}'")
    here = os.path.dirname(docname)
    page = f"{PAGES[file]}.md" if file in PAGES else None
    if file.startswith("docs/") and not file.endswith(".py"):
        page = file.removeprefix("docs/")
    if page is not None:
        return os.path.relpath(page, here or ".") + anchor
    LINKED.add(file)
    line = re.sub(r"#L(\d+)", r"#L-\1", anchor)
    return "source:" + os.path.relpath(f"{SOURCES}/{file}.html", here or ".") + line


def fit_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Makes the links of a Markdown page fit the site."""
    if not str(app.env.doc2path(docname)).endswith(".md"):
        return
    parts = CODE.split(source[0])  # blocks of code at odd places
    for i in range(0, len(parts), 2):
        parts[i] = LINK.sub(lambda link: f"]({target_for(docname, link[1], link[2] or '')})", parts[i])
    source[0] = "".join(parts)
    if docname == "command-line":
        source[0] = re.sub(r"^\| `[^|]*", linked_commands, source[0], flags=re.MULTILINE)


def linked_commands(cell: re.Match[str]) -> str:
    """The first cell of a table's row; commands in it are links to their pages."""
    return re.sub(
        r"`([a-z-]+)[^`]*`",
        lambda shown: f"[{shown[0]}](commands/{shown[1]}.rst)" if shown[1] in main.commands else shown[0],
        cell[0],
    )


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """A page for each file that is linked to, with numbered lines."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", wrapcode=True)
    for file in sorted(LINKED):
        text = (ROOT / file).read_text()
        try:
            lexer = get_lexer_for_filename(file)
        except ClassNotFound:
            lexer = TextLexer()
        body = f"<h1>{escape(file)}</h1>\n" + highlight(text, lexer, formatter)
        yield f"{SOURCES}/{file}", {"title": file, "body": body}, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", fit_links, priority=300)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}

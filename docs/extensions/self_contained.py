"""Checks the finished site: nothing in it comes from elsewhere, and every link within it leads somewhere.

What is wrong becomes a warning, and with that, as `make docs` builds the site, an error.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)
OUTSIDE = re.compile(r"(?:https?:)?//")
LOADED_BY_CSS = re.compile(r"(?:@import\s+(?:url\()?|url\()\s*['\"]?((?:https?:)?//[^'\")\s]+)")


class Page(HTMLParser):
    """What a page loads, what it links to, and the names of its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a":
            self.links.append(values.get("href", ""))
        elif tag == "link":
            self.loads.append(values.get("href", ""))
        self.loads += [values[name] for name in ("src", "srcset", "poster", "data") if name in values]
        self.loads += LOADED_BY_CSS.findall(values.get("style", ""))


def faults(site: Path) -> Iterator[str]:
    """What pages and style sheets in a folder have from elsewhere, and links that lead nowhere."""
    pages = {file.resolve(): Page(file.read_text()) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        shown = file.relative_to(site.resolve())
        yield from (f"{shown} loads {address}" for address in page.loads if OUTSIDE.match(address))
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (file.parent / unquote(address.path)).resolve() if address.path else file
            if not target.exists():
                yield f"{shown} links to {link}, which is not there"
            elif target in pages and unquote(address.fragment) not in {"", *pages[target].places}:
                yield f"{shown} links to {link}: that page has no such place"
    for file in sorted(site.rglob("*.css")):
        for address in LOADED_BY_CSS.findall(file.read_text()):
            yield f"{file.relative_to(site)} loads {address}"


def check(app: Sphinx, error: Exception | None) -> None:
    """Warns of each fault."""
    if error is None and app.builder.name == "html":
        for fault in faults(Path(app.outdir)):
            log.warning("%s", fault)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

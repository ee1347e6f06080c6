"""Pages made before the site is built: one for each command, and one for each folder of layer types.

They are written beside the other pages, in `commands/` and `layers/`, and are not kept in the repository.
"""

import inspect
from pathlib import Path
from typing import Any, NamedTuple

import click
from docstrings import plain
from sphinx.application import Sphinx

from pycaffe_lite.cli import main
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.registry import forms_of, layer_types

CHAPTERS = {
    "activation": "Activations",
    "vision": "Convolution, pooling and their kin",
    "normalization": "Normalization",
    "recurrent": "Recurrent layers",
    "common": "Common layers",
    "loss": "Losses and scores",
    "utility": "Utilities",
    "data": "Data",
    "detection": "Detection",
    "sequence": "Sequences",
}


def titled(title: str, text: str) -> str:
    """A page in reStructuredText."""
    return f"{title}\n{'=' * (len(title) + 2)}\n\n{text}"


def command_pages() -> dict[str, str]:
    """A page for each command, made from click."""
    directive = ".. click:: generated:{0}\n   :prog: pycaffe-lite {0}\n   :nested: full\n"
    return {f"commands/{name}.rst": directive.format(name) for name in main.commands}


def __getattr__(name: str) -> click.Command:
    """The command of a name, for the directive `click`, which looks commands up as attributes of modules."""
    try:
        return main.commands[name]
    except KeyError:
        raise AttributeError(name) from None


class LayerType(NamedTuple):
    """A type's place in the reference: its title, whose it is, its class, and the name of the place."""

    title: str
    origin: str
    layer_class: type[Layer[Any]]
    anchor: str

    @property
    def chapter(self) -> str:
        """The folder that its class lies in."""
        return self.layer_class.__module__.removeprefix("pycaffe_lite.layer.").partition(".")[0]

    def section(self) -> str:
        """What its class says."""
        origin = "" if self.origin == "Caffe" else f"Of {self.origin}.\n\n"
        return (
            f".. _{self.anchor}:\n\n{self.title}\n{'-' * len(self.title)}\n\n{origin}.. autoclass:: "
            f"{self.layer_class.__module__}.{self.layer_class.__qualname__}\n   :no-index:\n\n"
        )

    def row(self) -> str:
        """Its row in the table of all types."""
        does = plain((inspect.getdoc(self.layer_class) or "").partition("\n")[0])
        return f"   * - :ref:`{self.title} <{self.anchor}>`\n     - {self.origin}\n     - {does}\n"


def all_layer_types() -> list[LayerType]:
    """All types by name; those of one name one after another."""
    kinds = [(name, kind) for name in layer_types() for kind in forms_of(name)]
    return [
        LayerType(
            name if kind.applies is None else f"{name}, {kind.origin}",
            kind.origin,
            kind.layer_class,
            f"layer-type-{i}",
        )
        for i, (name, kind) in enumerate(kinds)
    ]


def layer_pages() -> dict[str, str]:
    """A page for each folder of layer types, with what the class of each says, and a table of all types."""
    kinds = all_layer_types()
    chapters = [*CHAPTERS, *sorted({kind.chapter for kind in kinds} - CHAPTERS.keys())]
    pages = {
        f"layers/{chapter}.rst": titled(
            CHAPTERS.get(chapter, chapter.capitalize()),
            "".join(kind.section() for kind in kinds if kind.chapter == chapter),
        )
        for chapter in chapters
    }
    table = ".. list-table::\n   :header-rows: 1\n\n   * - type\n     - of\n     - what it does\n"
    tree = "\n.. toctree::\n   :hidden:\n\n" + "".join(f"   {chapter}\n" for chapter in chapters)
    rows = "".join(kind.row() for kind in kinds)
    return {"layers/index.rst": titled("Layer types", table + rows + tree), **pages}


def write_pages(app: Sphinx) -> None:
    """Writes the pages, and removes those of earlier builds that are no longer made."""
    pages = command_pages() | layer_pages()
    source = Path(app.srcdir)
    for folder in ("commands", "layers"):
        (source / folder).mkdir(exist_ok=True)
        for old in (source / folder).glob("*.rst"):
            if old.relative_to(source).as_posix() not in pages:
                old.unlink()
    for name, text in pages.items():
        (source / name).write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the extension."""
    app.connect("builder-inited", write_pages, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

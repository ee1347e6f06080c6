"""`pycaffe-lite db`: what databases hold."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand, CaffeGroup
from pycaffe_lite.cli.options import backend_option, max_pixels_option
from pycaffe_lite.cli.output import echo, echo_bars, progress_bar, start_log
from pycaffe_lite.data.contents import Survey, survey
from pycaffe_lite.data.database import open_any
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.record_pictures import LIST_FILE, draw_sheet, export

# Classes beyond which only the most frequent are drawn.
_MOST_BARS = 40
_MOST_SHAPES = 5
_NAMES = {"lmdb": "LMDB", "leveldb": "LevelDB"}


@click.group("db", cls=CaffeGroup)
def command() -> None:
    """Shows what a database holds."""


@command.command("info", cls=CaffeCommand)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@backend_option(None)
def info(database: Path, backend: str | None) -> None:
    """Shows the kind of a database, and the number, kinds, shapes and labels of its records."""
    start_log()
    backend, reader = open_any(database, backend)
    records = reader.count()
    with progress_bar("reading", records, "records") as advance:
        found = survey(reader, records, advance)
    for name, value in _lines(backend, found):
        echo(f"{name + ':':<10}{value}")
    if found.labels:
        _echo_labels(found)


def _lines(backend: str, found: Survey) -> list[tuple[str, str]]:
    shapes = [
        f"{' x '.join(map(str, shape)) if any(shape) else 'unknown'}{_of(count, found.records)}"
        for shape, count in found.shapes.most_common(_MOST_SHAPES)
    ]
    more = len(found.shapes) - len(shapes)
    if more > 0:
        shapes.append(f"and {more} more")
    kinds = [f"{kind}{_of(count, found.records)}" for kind, count in found.kinds.most_common()]
    return [
        ("kind", _NAMES[backend]),
        ("records", f"{found.records}, {found.size / 2**20:.3g} MiB"),
        ("keys", f"'{key_text(found.first_key)}' to '{key_text(found.last_key)}'"),
        ("values", ", ".join(kinds)),
        ("shapes", ", ".join(shapes)),
        ("labels", f"{len(found.labels)}, from {min(found.labels)} to {max(found.labels)}"),
    ]


def _of(count: int, records: int) -> str:
    return "" if count == records else f" ({count} records)"


def _echo_labels(found: Survey) -> None:
    labels = sorted(found.labels.items())
    if len(labels) > _MOST_BARS:
        labels = found.labels.most_common(_MOST_BARS)
        echo(f"the {_MOST_BARS} most frequent labels:")
    echo_bars([(str(label), count) for label, count in labels])


@command.command("head", cls=CaffeCommand)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@click.argument("picture", metavar="PNG", type=click.Path(path_type=Path), required=False)
@click.option("--count", type=click.IntRange(1, 10_000), metavar="N", default=40, show_default=True,
              help="Number of records.")  # fmt: skip
@backend_option(None)
@max_pixels_option
def head(database: Path, picture: Path | None, count: int, backend: str | None) -> None:
    """Draws the first records of a database.

    PNG is the picture to write, with the label below each record; without it, DB with .png behind its name.
    """
    start_log()
    _, reader = open_any(database, backend)
    out = picture or database.with_name(f"{database.resolve().name}.png")
    drawn = draw_sheet(reader, min(count, reader.count()), out)
    echo(f"wrote {out}: {drawn} records")


@command.command("export", cls=CaffeCommand)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1), metavar="N", help="Number of records.  [default: all]")
@backend_option(None)
def export_files(database: Path, folder: Path, count: int | None, backend: str | None) -> None:
    """Writes the records of a database as files.

    Pixels become PNG files, encoded records are written as they are, floats become .npy files. FOLDER, which
    is made, also gets a list of them, list.txt, which convert-imageset takes.
    """
    start_log()
    _, reader = open_any(database, backend)
    records = reader.count()
    count = min(count or records, records)
    with progress_bar("writing", count, "files") as advance:
        export(reader, count, folder, advance)
    echo(f"wrote {folder}: {count} files and {LIST_FILE}")

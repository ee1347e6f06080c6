"""`pycaffe-lite dataset`: databases of well-known data sets."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeGroup
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.data.mnist import make_mnist


@click.group("dataset", cls=CaffeGroup)
def command() -> None:
    """Makes databases of well-known data sets."""


@command.command("mnist")
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with MNIST's four IDX files.  [default: the repository's copy, else a download]",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder for the databases, made if it is missing.  [default: the working directory]",
)
def mnist(source: Path | None, out: Path) -> None:
    """Makes MNIST's mnist_train_lmdb and mnist_test_lmdb.

    Databases of these names are replaced.
    """
    start_log()
    for database in make_mnist(source, out):
        echo(f"{database.path}: {database.records} records")

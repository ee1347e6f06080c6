"""`pycaffe-lite dataset`: databases of well-known data sets."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeGroup
from pycaffe_lite.cli.options import backend_option
from pycaffe_lite.cli.output import Advance, echo, progress_bar, start_log
from pycaffe_lite.data.cifar10 import make_cifar10
from pycaffe_lite.data.mnist import Database, make_mnist

_out_option = click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder for the databases, made if it is missing.  [default: the working directory]",
)


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
@_out_option
@backend_option("lmdb")
def mnist(source: Path | None, out: Path, backend: str) -> None:
    """Makes MNIST's mnist_train_lmdb and mnist_test_lmdb.

    Databases of these names are replaced.
    """
    start_log()
    _say(make_mnist(source, out, backend, _watch))


@command.command("cifar10")
@click.option(
    "--from",
    "source",
    metavar="PATH",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with CIFAR-10's files data_batch_1.bin to test_batch.bin, or their archive.",
)
@_out_option
@backend_option("lmdb")
def cifar10(source: Path, out: Path, backend: str) -> None:
    """Makes CIFAR-10's cifar10_train_lmdb and cifar10_test_lmdb of its binary version.

    Databases of these names are replaced. What nets subtract is made by compute-image-mean.
    """
    start_log()
    _say(make_cifar10(source, out, backend, _watch))


def _watch(name: str, count: int) -> AbstractContextManager[Advance]:
    return progress_bar(name, count, "images")


def _say(databases: Iterable[Database]) -> None:
    for database in databases:
        echo(f"{database.path}: {database.records} records")

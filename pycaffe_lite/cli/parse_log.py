"""`pycaffe-lite parse-log`: a training log as tables."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo
from pycaffe_lite.view.parse_log import write_tables


def _one_character(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if len(value) != 1 or value in '"\r\n':
        raise click.BadParameter("it is one character, but no quote and no line break", ctx, param)
    return value


@click.command("parse-log", cls=CaffeCommand)
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path))
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    callback=_one_character,
    metavar="C",
    help="What stands between columns.",
)
def command(log: Path, folder: Path, delimiter: str) -> None:
    """Writes a training log as tables.

    Of LOG, a log of ours or of Caffe, writes LOG.train and LOG.test into FOLDER, the current one if it is not
    given: iterations, seconds, learning rate and each output, in columns, as Caffe's parse_log.py does. No
    table is written without rows.
    """
    written = write_tables(log, folder, delimiter)
    for path in written:
        echo(f"wrote {path}")
    if not written:
        echo(f"no rows in '{log}': nothing written")

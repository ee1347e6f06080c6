"""`pycaffe-lite plot`: a training log as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo
from pycaffe_lite.cli.picture import draw
from pycaffe_lite.solver.curves import read_curves


@click.command("plot", cls=CaffeCommand)
@click.argument("log_file", metavar="LOG", type=click.Path(path_type=Path))
@click.argument("picture", metavar="PICTURE", type=click.Path(path_type=Path))
@click.option("--title", metavar="TEXT", default="", help="Heading of the picture.")
def command(log_file: Path, picture: Path, title: str) -> None:
    """Draws the curves of a training log.

    LOG is a log of ours, of Caffe or of one of its forks; PICTURE the file to write: .png, .svg or .pdf.
    Losses have the axis on the left, other outputs, such as accuracies, that on the right. If the log
    holds several runs, each resuming the one before, a later run replaces what it repeats.
    """
    draw(read_curves(log_file), picture, title)
    echo(f"wrote {picture}")

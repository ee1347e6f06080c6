"""`pycaffe-lite convert-imageset`: a list of pictures into a database."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import INTERRUPTED, CaffeCommand
from pycaffe_lite.cli.options import backend_option, max_pixels_option
from pycaffe_lite.cli.output import echo, progress_bar, results_wanted, start_log
from pycaffe_lite.data.conversion import read_mark
from pycaffe_lite.data.imageset import Imageset, Settings
from pycaffe_lite.errors import DataError


@click.command("convert-imageset", cls=CaffeCommand)
@click.argument("root", metavar="ROOT/")
@click.argument("list_file", metavar="LIST", type=click.Path(path_type=Path))
@click.argument("out", metavar="DB", type=click.Path(path_type=Path))
@backend_option("lmdb")
@click.option("--gray/--nogray", help="Store one channel, not three.")
@click.option("--shuffle/--noshuffle", help="Shuffle the lines of LIST.")
@click.option("--resize-height", type=int, metavar="N", default=0, help="Height to resize the pictures to.")
@click.option("--resize-width", type=int, metavar="N", default=0, help="Width to resize them to; give both.")
@click.option("--encoded/--noencoded", help="Store picture files, not pixels.")
@click.option(
    "--encode-type",
    metavar="TYPE",
    default="",
    help="Kind of the files to store: jpg, png, ...  [default: that of each picture]",
)
@click.option("--check-size/--nocheck-size", help="Refuse pictures of another size than the first.")
@click.option(
    "--resume", is_flag=True, help="Go on with a conversion that was stopped; begin where there is none."
)
@max_pixels_option
@click.pass_context
def command(
    ctx: click.Context,
    root: str,
    list_file: Path,
    out: Path,
    backend: str,
    gray: bool,
    shuffle: bool,
    resize_height: int,
    resize_width: int,
    encoded: bool,
    encode_type: str,
    check_size: bool,
    resume: bool,
) -> None:
    """Makes a database of pictures.

    LIST has a line for each picture: its file, a space, its label, a whole number. ROOT/ is put before the
    name of each file as it is. Pictures that cannot be read are skipped, and said. DB must not be there yet.
    A conversion that is stopped leaves a database that is marked as unfinished; --resume goes on with it.
    """
    start_log()
    sizes = max(resize_height, 0), max(resize_width, 0)
    settings = Settings(gray, *sizes, encoded, encode_type, check_size, shuffle)
    imageset = Imageset(root, list_file, out, backend, settings, resume)
    try:
        with progress_bar("converting", len(imageset), "images") as advance:
            records = imageset.convert(advance)
    except KeyboardInterrupt:
        if _is_unfinished(out):
            echo(f"Interrupted: '{out}' is unfinished; the same command with --resume goes on.", err=True)
            ctx.exit(INTERRUPTED)
        raise
    if results_wanted():
        skipped = len(imageset) - records
        pictures = "picture" if skipped == 1 else "pictures"
        echo(f"{out}: {records} records" + (f", {skipped} {pictures} skipped" if skipped else ""))
        if len(imageset) and not records and not root.endswith("/"):
            echo(f"ROOT is put before each name as it is: is it '{root}/'?")


def _is_unfinished(out: Path) -> bool:
    try:
        mark = read_mark(out)
    except DataError:
        return False
    return mark is not None and mark.records is None

"""`pycaffe-lite compute-image-mean`: the mean of a database's pictures."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import backend_option, max_pixels_option
from pycaffe_lite.cli.output import echo, progress_bar, results_wanted, start_log
from pycaffe_lite.data.database import open_any
from pycaffe_lite.data.image_mean import channel_means, image_mean
from pycaffe_lite.formats import binaryproto

log = logging.getLogger(__name__)


@click.command("compute-image-mean", cls=CaffeCommand)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path), required=False)
@backend_option(None)
@max_pixels_option
def command(database: Path, out: Path | None, backend: str | None) -> None:
    """Computes the mean of a database's pictures.

    OUT is the .binaryproto to write, for `mean_file` in a transform_param. The mean of each channel, for
    `mean_value`, is printed in any case.
    """
    start_log()
    _, reader = open_any(database, backend)
    records = reader.count()
    with progress_bar("summing", records, "images") as advance:
        mean = image_mean(reader, records, advance)
    if out is not None:
        log.info("Write to %s", out)
        binaryproto.write(out, mean)
    lines = [f"mean_value channel [{c}]: {value:g}" for c, value in enumerate(channel_means(mean))]
    log.info("Number of channels: %d", len(lines))
    for line in lines:
        log.info("%s", line)
    if results_wanted():
        for line in [*lines, *([f"wrote {out}"] if out else [])]:
            echo(line)

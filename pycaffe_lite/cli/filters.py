"""`pycaffe-lite filters`: a layer's weights as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.view.filters import weight_sections
from pycaffe_lite.view.tiles import write_sheet


@click.command("filters", cls=CaffeCommand)
@click.argument("weights", metavar="WEIGHTS")
@click.argument("layer", metavar="LAYER")
@click.argument("picture", metavar="PICTURE", type=click.Path(path_type=Path))
def command(weights: str, layer: str, picture: Path) -> None:
    """Draws the learnable blobs of a layer.

    WEIGHTS is a .caffemodel, or its .h5; LAYER the layer's name there. Kernels that look at three channels
    have their colours; others are blue for weights below 0 and red above, with a row for each output and a
    column for each channel. PICTURE is the file to write, .png say.
    """
    start_log()
    write_sheet(picture, weight_sections(weights, layer))
    echo(f"wrote {picture}")

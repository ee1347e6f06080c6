"""`pycaffe-lite draw`: a net as a picture, or as a page for the browser."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import net_state_options, split_names
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.drawing import drawn_net
from pycaffe_lite.view.net_page import net_page

_PAGES = ("html", "htm")


@click.command("draw", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@click.argument("picture", metavar="PICTURE", type=click.Path(path_type=Path))
@click.option(
    "--rankdir",
    type=click.Choice(["TB", "LR", "BT", "RL"], case_sensitive=False),
    default=None,
    help="Where the net leads: down, to the right, up, to the left.  [default: LR; TB for a page]",
)
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST", "ALL"], case_sensitive=False),
    default="TRAIN",
    show_default=True,
    help="Phase of the net; ALL shows the layers of both, without shapes.",
)
@net_state_options
@shape_option
@click.option(
    "--blobs/--no-blobs",
    default=None,
    help="Draw blobs as nodes too, as Caffe does.  [default: yes; no for a page]",
)
def command(
    net_file: str,
    picture: Path,
    rankdir: str | None,
    phase: str,
    level: int,
    stage: str,
    shapes: Shapes,
    blobs: bool | None,
) -> None:
    """Draws a net.

    Layers have Caffe's colours; the shapes of what flows between them stand at the edges. NET is a prototxt,
    whose data sets need not be there; PICTURE the file to write: .svg, .png, .pdf, another format that
    matplotlib knows, .dot for Graphviz, or .html for a page with zoom, search and the numbers of each layer
    that is clicked on.
    """
    start_log(least=logging.WARNING)
    format = picture.suffix.lower().removeprefix(".") or "svg"
    is_page = format in _PAGES
    number = None if phase == "ALL" else caffe_pb2.Phase.Value(phase)
    net = drawn_net(net_file, number, level, split_names(stage), shapes)
    direction = rankdir or ("TB" if is_page else "LR")
    with_blobs = not is_page if blobs is None else blobs
    graph = net.blob_graph(direction) if with_blobs else net.layer_graph(direction)
    data = net_page(net, graph).encode() if is_page else graph.draw(format)
    with atomic_write(picture, error=PycaffeError) as file:
        file.write(data)
    for remark in net.remarks:
        echo(remark)
    echo(f"wrote {picture}")

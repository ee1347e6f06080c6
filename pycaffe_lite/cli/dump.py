"""`pycaffe-lite dump`: every blob of one pass, as arrays."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.arrays import read_inputs
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import shaped_with_weights
from pycaffe_lite.cli.options import net_state_options, strict_option, threads_option
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option


@click.command("dump", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("input_file", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.npz", type=click.Path(path_type=Path))
@shape_option
@net_state_options
@strict_option
@threads_option
def command(
    net_file: str,
    weights: str,
    input_file: Path,
    out: Path,
    shapes: Shapes,
    level: int,
    stage: str,
    strict: bool,
) -> None:
    """Writes every blob of one pass of a net in TEST.

    They are to be compared with what another program computes.

    INPUT is an .npz file with an array for each input by name, or a .npy file for a net with one; an array
    of one item is repeated over the batch. Each layer runs by itself. Of layers that work in place the last
    one's values have the blob's name, the others' have their layer's behind it: conv1/conv1 is conv1 before
    relu1.
    """
    from pycaffe_lite.export.dump import all_blobs, write_blobs

    start_log(least=logging.WARNING)
    net = shaped_with_weights(net_file, weights, level, stage, shapes, strict=strict)
    blobs = all_blobs(net, read_inputs(input_file, net))
    write_blobs(out, blobs)
    echo(f"wrote {out}: {len(blobs)} blobs")

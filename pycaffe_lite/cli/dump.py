"""`pycaffe-lite dump`: every blob of one pass, as arrays."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import numpy as np

from pycaffe_lite.classify import read_mean
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
@click.option(
    "--mean", metavar="M", help="Subtracted from the first input: 104,117,123, a .npy or a .binaryproto file."
)
@click.option("--scale", type=float, metavar="S", help="What the first input is multiplied by after that.")
@shape_option
@net_state_options
@strict_option
@threads_option
def command(
    net_file: str,
    weights: str,
    input_file: Path,
    out: Path,
    mean: str | None,
    scale: float | None,
    shapes: Shapes,
    level: int,
    stage: str,
    strict: bool,
) -> None:
    """Writes every blob of one pass of a net in TEST.

    They are to be compared with what another program computes.

    INPUT is an .npz file with an array for each input by name; or, for a net with one, a .npy file or a
    picture, which is resized. An array of one item is repeated over the batch. Each layer runs by itself. Of
    layers that work in place the last one's values have the blob's name, the others' have their layer's
    behind it: conv1/conv1 is conv1 before relu1.
    """
    from pycaffe_lite.export.dump import all_blobs, write_blobs
    from pycaffe_lite.export.inputs import checked_inputs, fitting_mean

    start_log(least=logging.WARNING)
    net = shaped_with_weights(net_file, weights, level, stage, shapes, strict=strict)
    inputs = checked_inputs(net, read_inputs(input_file, net))
    first = net.inputs[0]
    if mean is not None:
        inputs[first] = inputs[first] - fitting_mean(read_mean(mean), net.blobs[first].shape)
    if scale is not None:
        inputs[first] = inputs[first] * np.float32(scale)
    blobs = all_blobs(net, inputs)
    write_blobs(out, blobs)
    echo(f"wrote {out}: {len(blobs)} blobs")

"""`pycaffe-lite deploy`: a net to be used, from one that trains."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import net_state_options, split_names, strict_option
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option


@click.command("deploy", cls=CaffeCommand)
@click.argument("net_file", metavar="TRAIN_VAL")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    help="Batch size of the inputs.  [default: 1 picture; as many items as the net has of other data]",
)
@shape_option
@net_state_options
@strict_option
def command(
    net_file: str, out: Path, batch: int | None, shapes: Shapes, level: int, stage: str, strict: bool
) -> None:
    """Makes a net to be used from one that trains.

    Of the prototxt TRAIN_VAL's layers in TEST, those of data become inputs, losses become what they are for
    (SoftmaxWithLoss becomes Softmax, SigmoidCrossEntropyLoss Sigmoid), and accuracies and labels go. The data
    sets need not be there.
    """
    from pycaffe_lite.export.deploy import deploy
    from pycaffe_lite.export.files import write_prototxt

    start_log(least=logging.WARNING)
    result = deploy(net_file, batch, level, split_names(stage), shapes, strict=strict)
    for remark in result.remarks:
        echo(remark)
    write_prototxt(result.message, out)
    echo(f"wrote {out}: {len(result.message.layer)} layers")

"""`pycaffe-lite fold`: a net without the layers that can be worked into others."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import shaped_with_weights
from pycaffe_lite.cli.options import net_state_options, strict_option, threads_option
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option


@click.command("fold", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--tolerance", type=click.FloatRange(0), default=1e-4, show_default=True,
    help="Largest difference to accept, in parts of an output's largest value.",
)  # fmt: skip
@shape_option
@net_state_options
@strict_option
@threads_option
def command(
    net_file: str,
    weights: str,
    out: Path,
    tolerance: float,
    shapes: Shapes,
    level: int,
    stage: str,
    strict: bool,
) -> None:
    """Folds BatchNorm and Scale into the layers beside them.

    Works BatchNorm, Scale and Bias into the convolution or inner product before them, or behind them, takes
    out Dropout and Split, and writes OUT.prototxt and OUT.caffemodel, which give what NET with
    WEIGHTS gives in TEST; the largest difference on random inputs is printed.
    """
    from pycaffe_lite.export.compare import differences, largest
    from pycaffe_lite.export.copies import net_for_export
    from pycaffe_lite.export.files import write_net
    from pycaffe_lite.export.folding import folded

    start_log(least=logging.WARNING)
    net = net_for_export(shaped_with_weights(net_file, weights, level, stage, shapes, strict=strict))
    result = folded(net)
    for line in result.remarks:
        echo(line)
    worst = largest(differences(net, result.net), "folded", tolerance)
    for file in write_net(result.net, out):
        echo(f"wrote {file}")
    echo(
        f"{len(result.remarks)} layers fewer; the outputs differ by {worst.relative:.1e} of the "
        f"largest value at most, on random inputs (output '{worst.output}')"
    )

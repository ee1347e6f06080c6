"""`pycaffe-lite split`: the prototxt that stands in a .caffemodel."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.formats import caffemodel, conversion
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.net.splits import remove_splits
from pycaffe_lite.proto.text_writer import TextWriter


@click.command("split", cls=CaffeCommand)
@click.argument("source", metavar="IN.caffemodel", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.prototxt", type=click.Path(path_type=Path))
@click.argument("weights", metavar="[WEIGHTS]", type=click.Path(path_type=Path), required=False)
def command(source: Path, out: Path, weights: Path | None) -> None:
    """Writes the prototxt of a .caffemodel.

    A .caffemodel of any age holds all of a net's layers with their parameters, not only the weights; of a
    training these are the layers of its train net. WEIGHTS, if given, gets the weights alone: a
    .caffemodel.h5, .npz or .safetensors.
    """
    start_log(least=logging.WARNING)
    net = caffemodel.read_definition(source)
    remove_splits(net)
    for layer in net.layer:
        layer.ClearField("phase")  # that of the net which was saved; it would go before the one asked for
    with atomic_write(out) as file:
        file.write(TextWriter(net, {}).write().encode())
    echo(f"wrote {out}: {len(net.layer)} layers")
    if weights is not None:
        model = conversion.read(source)
        conversion.write(weights, model)
        echo(f"wrote {weights}: {model.count} values")

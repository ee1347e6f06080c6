"""`pycaffe-lite convert`: weights, and single blobs, from one file format into another."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.mean import BINARYPROTO, NUMPY
from pycaffe_lite.cli.mean import convert as convert_mean
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.formats import conversion


@click.command("convert", cls=CaffeCommand)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.pass_context
def command(ctx: click.Context, source: Path, out: Path) -> None:
    """Converts weights, or a mean, to another format.

    The names tell the formats: .caffemodel, .caffemodel.h5, .npz and .safetensors for weights; .binaryproto
    and .npy for means. In .npz and .safetensors an array is named after its layer and its place there:
    conv1/0. These know no net: "pycaffe-lite merge" makes a complete .caffemodel of them with a prototxt.
    """
    if {source.suffix, out.suffix} & {BINARYPROTO, NUMPY}:
        ctx.invoke(convert_mean, source=source, out=out)
        return
    start_log(least=logging.WARNING)
    try:
        kinds = conversion.ending_of(source), conversion.ending_of(out)
    except ArgumentError as error:
        raise click.UsageError(f"{error}.") from None
    if kinds[0] == kinds[1]:
        raise click.UsageError(f"Both names end in {kinds[0]}: there is nothing to convert.")
    model = conversion.read(source)
    conversion.write(out, model)
    layers = sum(bool(layer.blobs) for layer in model.layers)
    echo(f"wrote {out}: {layers} layer{'s' * (layers != 1)} with weights, {model.count} values")

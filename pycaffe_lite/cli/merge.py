"""`pycaffe-lite merge`: a prototxt and its weights in one .caffemodel."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import strict_option
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option
from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats import caffemodel, conversion
from pycaffe_lite.net.weights import load_model
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.view.shaped import shaped_net


@click.command("merge", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@click.argument("weights", metavar="WEIGHTS", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT.caffemodel", type=click.Path(path_type=Path))
@shape_option
@strict_option
def command(net_file: str, weights: Path, out: Path, shapes: Shapes, strict: bool) -> None:
    """Writes a net and its weights as one file.

    OUT describes each layer of the prototxt NET and holds its weights from WEIGHTS, a .caffemodel,
    .caffemodel.h5, .npz or .safetensors; "split" takes it apart again. Weights that do not fit, and layers
    that get none, are errors.
    """
    start_log(least=logging.WARNING)
    message = read_net(net_file, strict=strict).message
    net = shaped_net(net_file, caffe_pb2.TEST, shapes=shapes, strict=strict).net
    model = conversion.read(weights)
    fresh = load_model(net, model).fresh
    if fresh:
        raise WeightsError(f"'{weights}' has no weights for layer '{fresh[0]}' of '{net_file}'")
    blobs = []
    for layer in message.layer:
        layer.ClearField("blobs")
        if layer.name in net.params:
            blobs.append(list(net.params[layer.name]))
        elif layer.name in model:  # of TRAIN only
            blobs.append(conversion.blobs_of(model[layer.name], model, out))
        else:
            blobs.append([])
    caffemodel.write(out, message, blobs)
    count = sum(map(bool, blobs))
    echo(f"wrote {out}: {len(message.layer)} layers, {count} of them with weights")

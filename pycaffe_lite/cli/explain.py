"""`pycaffe-lite explain`: a layer's equations, and values worked out term by term."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import click
import numpy as np
import numpy.typing as npt

from pycaffe_lite import random
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import check_layers
from pycaffe_lite.cli.options import net_state_options, phase_option, split_names, strict_option
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.random_point import fill_inputs
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.view.explain import explain
from pycaffe_lite.view.explain.worked import MOST_TERMS


@click.command("explain", cls=CaffeCommand)
@click.argument("model", metavar="NET")
@click.argument("layer", metavar="LAYER")
@click.option("--weights", metavar="FILES", help="Weights, comma-separated; else what the fillers give.")
@click.option(
    "--input",
    "input_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A .npy file for the net's first input; else random values.",
)
@click.option(
    "--top-diff",
    "top_diff_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A .npy file for the gradient of the layer's first top; else what the net's loss gives it or, "
    "without a loss, random values.",
)
@phase_option
@net_state_options
@click.option(
    "--terms", type=click.IntRange(1), default=MOST_TERMS, show_default=True, help="Terms of a sum to show."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of all that is random.")
@strict_option
def command(
    model: str,
    layer: str,
    weights: str | None,
    input_file: Path | None,
    top_diff_file: Path | None,
    phase: str,
    level: int,
    stage: str,
    terms: int,
    seed: int,
    strict: bool,
) -> None:
    """Explains a layer of a net with the net's own numbers.

    Runs the net of the prototxt NET forward and backward once, and prints the equations of LAYER with the
    shapes that it has here. Of its outputs, its input gradients and its weight gradients, the largest value
    of each is worked out term by term, next to what the blobs hold.
    """
    start_log(least=logging.WARNING)
    random.set_random_seed(seed)
    document = read_net(model, strict=strict)
    message = document.message
    message.state.MergeFrom(caffe_pb2.NetState(level=level, stage=split_names(stage)))
    message.state.phase = cast("caffe_pb2.Phase", caffe_pb2.Phase.Value(phase))
    message.force_backward = True
    net = Net.from_document(document)
    check_layers(net, model)
    for file in split_names(weights) if weights else ():
        net.copy_from(file)
    fill_inputs(net)
    if input_file is not None:
        _fill(net, input_file)
    top_diff = None if top_diff_file is None else _load(top_diff_file)
    explanation = explain(net, layer, seed, top_diff)
    shown = net.layer_dict[layer]
    echo(f"layer '{shown.name}' ({shown.type})")
    for line in explanation.equations:
        echo(f"  {line}")
    for worked in explanation.worked:
        echo("")
        for line in worked.lines(terms):
            echo(line)


def _fill(net: Net, file: Path) -> None:
    """Fills the net's first input from a file; the other inputs keep the batch size that they have."""
    if not net.inputs:
        raise ArgumentError(f"net '{net.name}' has no Input layer to fill: it reads its data itself")
    values = _load(file)
    blob = net.blobs[net.inputs[0]]
    if values.ndim == len(blob.shape) - 1:
        values = values[np.newaxis]
    if values.shape[1:] != blob.shape[1:] or (len(net.inputs) > 1 and values.shape != blob.shape):
        raise ArgumentError(f"'{file}' has shape {values.shape}, input '{net.inputs[0]}' has {blob.shape}")
    blob.reshape(values.shape)
    blob.data[...] = values


def _load(file: Path) -> npt.NDArray[np.floating]:
    try:
        values = np.load(file)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{file}'") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{file}': {error}") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise DataError(f"'{file}' holds no array of numbers")
    return values

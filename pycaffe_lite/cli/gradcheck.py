"""`pycaffe-lite gradcheck`: checks a net's gradients."""

from __future__ import annotations

from itertools import groupby
from typing import cast

import click
import numpy as np

from pycaffe_lite import random
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import check_layers
from pycaffe_lite.cli.options import (
    max_pixels_option,
    net_state_options,
    phase_option,
    split_names,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.errors import NetError
from pycaffe_lite.net.gradcheck import GradientReport, check_net
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.random_point import fill_inputs, fill_zero_blobs
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, read_net


@click.command("gradcheck", cls=CaffeCommand)
@click.argument("model", metavar="NET")
@phase_option
@net_state_options
@click.option("--weights", metavar="FILES", help="Weights to check with, comma-separated.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="NAME",
    help="Check only this layer; may be given several times.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    metavar="N",
    default=50,
    show_default=True,
    help="Elements of each blob to check, chosen at random.",
)
@click.option(
    "--seed", type=int, metavar="N", default=1, show_default=True, help="Seed of all random numbers."
)
@threads_option
@max_pixels_option
@strict_option
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    phase: str,
    level: int,
    stage: str,
    weights: str | None,
    layers: tuple[str, ...],
    samples: int,
    seed: int,
    strict: bool,
) -> None:
    """Checks a net's gradients against finite differences.

    Builds the net of the prototxt NET in float64, gives its inputs random values, and compares what the
    backward pass of each layer says with central differences of its forward pass: for all bottoms that can
    have a gradient and all learnable blobs. Prints the worst element of each layer; the exit status is 1
    if a gradient is wrong. Python layers are checked too, for all bottoms but those whose
    `propagate_down` is false.

    Without --weights, blobs that the prototxt's fillers leave at zero get random values too.
    """
    start_log()
    random.set_random_seed(seed)
    document = read_net(model, strict=strict)
    known = {layer.name for layer in document.message.layer}
    if unknown := [name for name in layers if name not in known]:
        raise click.UsageError(f"No layer '{unknown[0]}' in {model}.")
    net = _build(document, phase, level, stage)
    check_layers(net, model)
    if weights:
        for file in split_names(weights):
            net.copy_from(file)
    else:
        fill_zero_blobs(net)
    fill_inputs(net)
    checked = wrong = 0
    for _, reports in groupby(check_net(net, layers=layers or None, samples=samples, seed=seed), _layer_of):
        for report in _worth_saying(list(reports)):
            echo(str(report))
            wrong += not report.passed
        checked += 1
    if not checked:
        raise NetError(f"{model}: there is no gradient to check")
    echo(f"{checked} layers, " + (f"{wrong} gradients are wrong" if wrong else "all gradients are right"))
    if wrong:
        ctx.exit(1)


def _build(document: Document[caffe_pb2.NetParameter], phase: str, level: int, stage: str) -> Net:
    """The net in float64, asked for all gradients."""
    message = document.message
    message.state.phase = cast("caffe_pb2.Phase", caffe_pb2.Phase.Value(phase))
    message.state.level = level
    message.state.stage.extend(split_names(stage))
    message.force_backward = True
    return Net.from_document(document, dtype=np.float64)


def _layer_of(report: GradientReport) -> str:
    return report.layer


def _worth_saying(reports: list[GradientReport]) -> list[GradientReport]:
    """Of one layer's reports those of wrong gradients; if there are none, the worst."""
    return [r for r in reports if not r.passed] or [max(reports, key=lambda report: report.error)]

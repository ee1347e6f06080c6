"""`pycaffe-lite test`: mean outputs of a trained net over some batches."""

from __future__ import annotations

import logging

import click

from pycaffe_lite.cli.options import (
    caffe_option,
    gpu_option,
    net_state_options,
    one_of,
    split_names,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import say_mode, start_log
from pycaffe_lite.net.evaluate import Score, evaluate
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


@click.command("test")
@click.argument("model_argument", metavar="[MODEL]", required=False)
@caffe_option("model", metavar="FILE", help="The net's prototxt; the same as the argument.")
@caffe_option("weights", required=True, metavar="FILE", help="The .caffemodel to test.")
@caffe_option(
    "iterations",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Number of batches to run.",
)
@net_state_options
@gpu_option
@threads_option
@strict_option
def command(
    model_argument: str | None,
    model: str | None,
    weights: str,
    iterations: int,
    level: int,
    stage: str,
    gpu: str,
    strict: bool,
) -> None:
    """Runs the TEST phase of MODEL with trained weights and prints the mean of each output."""
    model = one_of(model, model_argument, "model")
    start_log()
    say_mode(gpu)
    net = Net(model, caffe_pb2.TEST, level, split_names(stage), weights, strict=strict)
    log.info("Running for %d iterations.", iterations)
    total = evaluate(net, iterations, _log_batch)
    log.info("Loss: %g", total.mean_loss())
    for score in total.means():
        log.info("%s", score)
        click.echo(str(score))


def _log_batch(index: int, scores: list[Score]) -> None:
    for score in scores:
        log.info("Batch %d, %s = %g", index, score.name, score.value)

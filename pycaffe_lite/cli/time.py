"""`pycaffe-lite time`: how long each layer takes."""

from __future__ import annotations

import logging

import click

from pycaffe_lite.cli.options import (
    caffe_option,
    gpu_option,
    net_state_options,
    one_of,
    parse_phase,
    split_names,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import say_mode, start_log
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.timing import Timings, time_layers
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


@click.command("time")
@click.argument("model_argument", metavar="[MODEL]", required=False)
@caffe_option("model", metavar="FILE", help="The net's prototxt; the same as the argument.")
@caffe_option("weights", metavar="FILES", help="Weights to load first, comma-separated.")
@caffe_option(
    "iterations",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Number of forward and backward passes.",
)
@caffe_option("phase", default="", metavar="TRAIN|TEST", help="Phase of the net. [default: TRAIN]")
@net_state_options
@gpu_option
@threads_option
@strict_option
def command(
    model_argument: str | None,
    model: str | None,
    weights: str | None,
    iterations: int,
    phase: str,
    level: int,
    stage: str,
    gpu: str,
    strict: bool,
) -> None:
    """Runs MODEL forward and backward and prints each layer's time."""
    model = one_of(model, model_argument, "model")
    net_phase = parse_phase(phase, default=caffe_pb2.TRAIN)
    start_log()
    say_mode(gpu)
    net = Net(model, net_phase, level, split_names(stage), weights, strict=strict)
    # The first passes compile kernels and touch memory.
    log.info("Performing Forward")
    log.info("Initial loss: %g", net.forward_loss())
    log.info("Performing Backward")
    net._backward(len(net.layers) - 1, 0)
    log.info("*** Benchmark begins ***")
    log.info("Testing for %d iterations.", iterations)
    timings = time_layers(net, iterations, _log_iteration)
    _report(timings, iterations)
    log.info("*** Benchmark ends ***")


def _log_iteration(index: int, milliseconds: float) -> None:
    log.info("Iteration: %d forward-backward time: %g ms.", index + 1, milliseconds)


def _report(timings: Timings, iterations: int) -> None:
    log.info("Average time per layer: ")
    for name, forward, backward in zip(timings.names, timings.forward_ms, timings.backward_ms, strict=True):
        log.info("%10s\tforward: %g ms.", name, forward / iterations)
        log.info("%10s\tbackward: %g ms.", name, backward / iterations)
    log.info("Average Forward pass: %g ms.", sum(timings.forward_ms) / iterations)
    log.info("Average Backward pass: %g ms.", sum(timings.backward_ms) / iterations)
    log.info("Average Forward-Backward: %g ms.", timings.total_ms / iterations)
    log.info("Total Time: %g ms.", timings.total_ms)

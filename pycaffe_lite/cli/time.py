"""`pycaffe-lite time`: how long each layer takes."""

from __future__ import annotations

import logging
import sys

import click
from rich import box
from rich.console import Console
from rich.table import Table

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import load_net
from pycaffe_lite.cli.options import (
    gpu_option,
    iterations_option,
    max_pixels_option,
    net_state_options,
    one_of,
    phase_option,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import progress_bar, results_wanted, say_mode, start_log
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.timing import Timings, time_layers
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


@click.command("time", cls=CaffeCommand)
@click.argument("model_argument", metavar="MODEL", required=False)
@click.option("--model", metavar="FILE", help="The net's prototxt; the same as the argument.")
@click.option("--weights", metavar="FILES", help="Weights to load first, comma-separated.")
@iterations_option("Number of forward and backward passes.")
@phase_option
@net_state_options
@gpu_option
@threads_option
@max_pixels_option
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
    """Measures the time of each layer of a net.

    Runs the net of the prototxt MODEL forward and backward and prints the mean times.
    """
    model = one_of(model, model_argument, "model")
    start_log()
    say_mode(gpu)
    net = load_net(model, caffe_pb2.Phase.Value(phase), level, stage, weights, strict)
    # The first passes compile kernels and touch memory; layer by layer, as they are timed.
    log.info("Performing Forward")
    log.info("Initial loss: %g", sum(net._forward(i, i) for i in range(len(net.layers))))
    log.info("Performing Backward")
    net._backward(len(net.layers) - 1, 0)
    log.info("*** Benchmark begins ***")
    log.info("Testing for %d iterations.", iterations)
    with progress_bar("timing", iterations) as advance:

        def on_iteration(index: int, milliseconds: float) -> None:
            log.info("Iteration: %d forward-backward time: %g ms.", index + 1, milliseconds)
            advance()

        timings = time_layers(net, iterations, on_iteration)
    _log_report(timings, iterations)
    log.info("*** Benchmark ends ***")
    if results_wanted():
        _print_table(net, timings, iterations)


def _log_report(timings: Timings, iterations: int) -> None:
    log.info("Average time per layer: ")
    for name, forward, backward in zip(timings.names, timings.forward_ms, timings.backward_ms, strict=True):
        log.info("%10s\tforward: %g ms.", name, forward / iterations)
        log.info("%10s\tbackward: %g ms.", name, backward / iterations)
    log.info("Average Forward pass: %g ms.", sum(timings.forward_ms) / iterations)
    log.info("Average Backward pass: %g ms.", sum(timings.backward_ms) / iterations)
    log.info("Average Forward-Backward: %g ms.", timings.total_ms / iterations)
    log.info("Total Time: %g ms.", timings.total_ms)


def _print_table(net: Net, timings: Timings, iterations: int) -> None:
    """The mean milliseconds of each layer, and of all, as a table."""
    forward, backward = sum(timings.forward_ms), sum(timings.backward_ms)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_footer=True,
        pad_edge=False,
        title=f"Milliseconds, mean of {iterations} iterations",
        title_justify="left",
    )
    table.add_column("layer", "all", overflow="fold")
    table.add_column("type", overflow="fold")
    table.add_column("top", overflow="fold")
    for heading, total in (("forward", forward), ("backward", backward), ("both", forward + backward)):
        table.add_column(heading, _number(total / iterations), justify="right", no_wrap=True)
    table.add_column("share", "100%", justify="right", no_wrap=True)
    for layer, ahead, back in zip(net.layers, timings.forward_ms, timings.backward_ms, strict=True):
        table.add_row(
            layer.name,
            layer.type,
            _first_shape(net, layer.name),
            *(_number(ms / iterations) for ms in (ahead, back, ahead + back)),
            f"{(ahead + back) / (forward + backward):.0%}",
        )
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000  # of a file; a table is as wide as it needs
    console.print(table)


def _first_shape(net: Net, layer: str) -> str:
    """The shape of a layer's first top, 64x3x28x28."""
    tops = net.top_names[layer]
    return "x".join(str(n) for n in net.blobs[tops[0]].shape) if tops else ""


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.3f}"

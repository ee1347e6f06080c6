"""`pycaffe-lite time`: how long each layer takes."""

from __future__ import annotations

import logging

import click

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
from pycaffe_lite.cli.output import (
    Column,
    echo,
    echo_table,
    progress_bar,
    results_wanted,
    say_mode,
    start_log,
)
from pycaffe_lite.layer.data.prefetching import PrefetchingLayer
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
    columns = [Column("layer", "all"), Column("type"), Column("top")]
    for heading, total in (("forward", forward), ("backward", backward), ("both", forward + backward)):
        columns.append(Column(heading, _number(total / iterations), is_number=True))
    columns.append(Column("share", "100%", is_number=True))
    rows = [
        (
            layer.name,
            layer.type,
            _first_shape(net, layer.name),
            *(_number(ms / iterations) for ms in (ahead, back, ahead + back)),
            f"{(ahead + back) / (forward + backward):.0%}",
        )
        for layer, ahead, back in zip(net.layers, timings.forward_ms, timings.backward_ms, strict=True)
    ]
    echo_table(f"Milliseconds, mean of {iterations} iterations", columns, rows)
    if any(isinstance(layer, PrefetchingLayer) for layer in net.layers):
        echo(f"Of each iteration, {_number(timings.waited_ms / iterations)} ms were spent waiting for data.")


def _first_shape(net: Net, layer: str) -> str:
    """The shape of a layer's first top, 64x3x28x28."""
    tops = net.top_names[layer]
    return "x".join(str(n) for n in net.blobs[tops[0]].shape) if tops else ""


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.3f}"

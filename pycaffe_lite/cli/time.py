"""`pycaffe-lite time`: how long each layer takes."""

from __future__ import annotations

import logging
from pathlib import Path

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
    timeline_option,
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
from pycaffe_lite.net.timing import Timings, time_layers, trace_pass
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.rates import layer_rates, machine_peak
from pycaffe_lite.view.trace_events import write_trace

log = logging.getLogger(__name__)


@click.command("time", cls=CaffeCommand)
@click.argument("model_argument", metavar="MODEL", required=False)
@click.option("--model", metavar="FILE", help="The net's prototxt; the same as the argument.")
@click.option("--weights", metavar="FILES", help="Weights to load first, comma-separated.")
@iterations_option("Number of forward and backward passes.")
@phase_option
@net_state_options
@click.option(
    "--table",
    is_flag=True,
    help="Sort the layers by cost, with GFLOP/s, GB/s and the share of what this machine can do.",
)
@timeline_option("in a pass forward and backward, fused as in training")
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
    table: bool,
    timeline: Path | None,
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
    if table:
        _print_rates(net, timings, iterations)
    elif results_wanted():
        _print_table(net, timings, iterations)
    if timeline is not None:
        write_trace(timeline, trace_pass(net), net.name or "net")
        echo(f"wrote {timeline}")


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


def _print_rates(net: Net, timings: Timings, iterations: int) -> None:
    """The layers by cost, and how well their forward passes use the machine."""
    peak = machine_peak()
    rates = layer_rates(net, timings, iterations, peak)
    total = sum(rate.forward_ms + rate.backward_ms for rate in rates)
    columns = [Column("layer", "all"), Column("type")]
    for heading, footer in (
        ("forward", _number(sum(rate.forward_ms for rate in rates))),
        ("backward", _number(sum(rate.backward_ms for rate in rates))),
        ("share", "100%"),
        ("GFLOP/s", ""),
        ("GB/s", ""),
        ("of peak", ""),
    ):
        columns.append(Column(heading, footer, is_number=True))
    columns.append(Column("limit"))
    rows = [
        (
            rate.name,
            rate.type,
            _number(rate.forward_ms),
            _number(rate.backward_ms),
            f"{(rate.forward_ms + rate.backward_ms) / total:.1%}",
            "?" if rate.gflops is None else f"{rate.gflops:.1f}",
            f"{rate.gbytes:.1f}",
            f"{rate.share:.0%}",
            rate.by,
        )
        for rate in rates
    ]
    echo_table(f"Milliseconds, mean of {iterations} iterations; rates of the forward pass", columns, rows)
    echo(
        f"Peak of this machine: {peak.gflops:.0f} GFLOP/s in a product of matrices, {peak.gbytes:.1f} GB/s "
        "in a copy."
    )


def _first_shape(net: Net, layer: str) -> str:
    """The shape of a layer's first top, 64x3x28x28."""
    tops = net.top_names[layer]
    return "x".join(str(n) for n in net.blobs[tops[0]].shape) if tops else ""


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.3f}"

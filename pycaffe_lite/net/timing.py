"""Measuring how long each layer of a net takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pycaffe_lite.kernels import Stretch, Timeline
from pycaffe_lite.layer.data.prefetching import PrefetchingLayer
from pycaffe_lite.net.net import Net

# Passes to be run before one is traced: the first shapes the blobs, the second is recorded.
PASSES_BEFORE = 3


@dataclass
class Timings:
    """Times in milliseconds: of each layer, and of whole iterations.

    Attributes:
        names: the layers' names. forward_ms, backward_ms: for each layer, summed over the iterations.
        iteration_ms: for each iteration, forward and backward together. total_ms: for all of them.
        waited_ms: of all this, how much forward passes waited for data.
    """

    names: list[str]
    forward_ms: list[float]
    backward_ms: list[float]
    iteration_ms: list[float] = field(default_factory=list)
    total_ms: float = 0.0
    waited_ms: float = 0.0


def seconds_waited(net: Net) -> float:
    """For how long a net has waited for the batches of its data layers, in all."""
    return sum(layer.seconds_waited for layer in net.layers if isinstance(layer, PrefetchingLayer))


def time_layers(
    net: Net, iterations: int, on_iteration: Callable[[int, float], object] = lambda i, ms: None
) -> Timings:
    """Runs forward and backward passes layer by layer and times each.

    Layers that take no part in the backward pass count 0 there. Each layer is run by itself, so none is fused
    with its neighbour. `on_iteration(index, milliseconds)` is called after each iteration.
    """
    layers = len(net.layers)
    timings = Timings(net.layer_names, [0.0] * layers, [0.0] * layers)
    begin, waited = time.perf_counter(), seconds_waited(net)
    for iteration in range(iterations):
        start = time.perf_counter()
        for i in range(layers):
            timings.forward_ms[i] += _milliseconds(net._forward, i)
        for i in reversed(range(layers)):
            timings.backward_ms[i] += _milliseconds(net._backward, i)
        timings.iteration_ms.append((time.perf_counter() - start) * 1e3)
        on_iteration(iteration, timings.iteration_ms[-1])
    timings.total_ms = (time.perf_counter() - begin) * 1e3
    timings.waited_ms = (seconds_waited(net) - waited) * 1e3
    return timings


def trace_pass(net: Net) -> list[Stretch]:
    """Runs a net forward and backward as in training, and says which thread ran which kernel when.

    It is run a few times before, so that kernels are compiled and recorded.

    Raises:
        KernelError: this system has no clock for that.
    """
    timeline = Timeline()
    for _ in range(PASSES_BEFORE):
        _run_as_in_training(net)
    with timeline, net.timed_by(timeline):
        _run_as_in_training(net)
    return timeline.stretches


def _run_as_in_training(net: Net) -> None:
    for blob in net.learnable_params:
        blob.clear_diff()
    net.forward_backward()


def _milliseconds(run: Callable[[int, int], object], layer: int) -> float:
    start = time.perf_counter()
    run(layer, layer)
    return (time.perf_counter() - start) * 1e3

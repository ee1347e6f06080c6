"""How well a net's layers use the machine: operations and bytes a second, against what the machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels import aligned_zeros, copy
from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.timing import Timings
from pycaffe_lite.view.cost import multiply_adds, traffic

# A product of square matrices of this side, and a copy of so many values, which no cache holds.
_PRODUCT_SIDE, _COPIED = 1024, 1 << 25
_RUNS = 10


class Peak(NamedTuple):
    """What the machine can do with the threads in use: 10⁹ operations a second, and 10⁹ bytes a second."""

    gflops: float
    gbytes: float


@dataclass(frozen=True)
class LayerRate:
    """A layer's mean time in milliseconds, and the rates of its forward pass.

    Attributes:
        name, type: of the layer. forward_ms, backward_ms: of one iteration.
        gflops: 10⁹ operations a second, two for each multiply-add; None where their number is not known.
        gbytes: 10⁹ bytes a second, of bottoms, weights and tops.
        share: the larger of the shares of the machine's peak in operations and in bytes.
        by: what of the two it is: "compute" or "memory"; empty where nothing is moved.
    """

    name: str
    type: str
    forward_ms: float
    backward_ms: float
    gflops: float | None
    gbytes: float
    share: float
    by: str


def machine_peak() -> Peak:
    """Measures what the kernels reach at best, in a product of matrices and in a copy, within a second."""
    side = _PRODUCT_SIDE
    a, b, c = (aligned_zeros(side * side, np.dtype(np.float32)).reshape(side, side) for _ in range(3))
    product = _least_seconds(lambda: gemm(a, b, c))
    x, y = (aligned_zeros(_COPIED, np.dtype(np.float32)) for _ in range(2))
    x.fill(1)
    copied = min(_least_seconds(lambda: copy.forward(x, y)), _least_seconds(lambda: np.copyto(y, x)))
    return Peak(2 * side**3 / product / 1e9, 2 * x.nbytes / copied / 1e9)


def _least_seconds(run: Callable[[], object]) -> float:
    run()  # compiles, and touches the memory
    least = float("inf")
    for _ in range(_RUNS):
        start = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - start)
    return least


def layer_rates(net: Net, timings: Timings, iterations: int, peak: Peak) -> list[LayerRate]:
    """The rates of all layers, the costliest first.

    Args:
        net: that was timed, in its present shapes. timings: of so many iterations. peak: the machine's.
    """
    rates = []
    for node, forward, backward in zip(net.graph.nodes, timings.forward_ms, timings.backward_ms, strict=True):
        seconds = max(forward / iterations / 1e3, 1e-9)
        cost, moved = multiply_adds(node), traffic(node)
        gflops = None if cost is None else 2 * cost / seconds / 1e9
        gbytes = moved / seconds / 1e9
        share, by = max(((gflops or 0.0) / peak.gflops, "compute"), (gbytes / peak.gbytes, "memory"))
        rates.append(
            LayerRate(
                *(node.layer.name, node.layer.type, forward / iterations, backward / iterations),
                *(gflops, gbytes, share, by if share else ""),
            )
        )
    return sorted(rates, key=lambda rate: -(rate.forward_ms + rate.backward_ms))

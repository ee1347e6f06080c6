"""Gradient checks: compare a layer's backward with central differences of its forward, in float64.

A layer is taken as a function of its bottoms and learnable blobs to one number, f = Σ y·g, with a random
weight g for every element of its tops. Backward, given g as the tops' diff, must return the derivatives of f;
each is compared with (f(x + h) - f(x - h)) / 2h.

Kinks: if f has a corner between x - h and x + h (ReLU at 0, a tie in max pooling), the difference quotient is
no derivative. Such an element is checked again with a step so small that the corner is left out or hit
exactly. At the corner the slopes to the left and to the right differ, and backward is right if its value lies
between them. As with Caffe's checker, a caller may also name a place to avoid: elements whose magnitude is
within a range of it are left out.

Source: BVLC/caffe include/caffe/test/test_gradient_check_util.hpp
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net
from pycaffe_lite.printable import printable

STEP = 1e-5
SMALL_STEP = 1e-7  # of the second look
THRESHOLD = 1e-6
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class GradientReport:
    """The outcome of the check for one bottom or learnable blob of a layer.

    Attributes:
        layer, type: the layer's name and type.
        blob: whose gradient it is: `bottom 0`, `blob 1`, or `bottom 0+1` for bottoms that share memory.
        checked: how many elements were compared. kinks: how many of them lie at a kink.
        error: of the worst element, |analytic - numeric| / scale; the scale is the larger of the two
            magnitudes, or the blob's largest gradient if that is larger still.
        index: the worst element; None if nothing was compared. analytic: what backward says of it.
        numeric: what the differences say.
        threshold: the largest error that passes.
    """

    layer: str
    type: str
    blob: str
    checked: int
    kinks: int
    error: float
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    threshold: float

    @property
    def passed(self) -> bool:
        """Whether every compared element is within the threshold; NaN never is."""
        return self.error <= self.threshold

    def __str__(self) -> str:
        layer, kind, blob = map(printable, (self.layer, self.type, self.blob))
        head = f"layer '{layer}' ({kind}), {blob}: "
        if self.index is None:
            return f"{head}nothing to check"
        kinks = f", {self.kinks} at a kink" if self.kinks else ""
        return (
            f"{head}{'ok' if self.passed else 'WRONG'}, {self.checked} elements{kinks}, worst error "
            f"{self.error:.2g} at {self.index}: backward {self.analytic:.8g}, difference {self.numeric:.8g}"
        )


class _Variable(NamedTuple):
    """What is varied: one piece of memory, seen through one blob or several."""

    label: str
    blobs: tuple[Blob, ...]


class _Settings(NamedTuple):
    """The settings of a check; see `check_layer_gradients`."""

    kink: tuple[float, float] | None
    samples: int | None
    step: float
    threshold: float
    seed: int


class _Element(NamedTuple):
    """The outcome for one element."""

    at: int
    error: float
    analytic: float
    numeric: float
    at_kink: bool


class _Probe:
    """Runs one layer again and again from the same state, and leaves everything as it was."""

    def __init__(self, layer: Layer[Any], bottom: Blobs, top: Blobs, seed: int) -> None:
        self.layer, self.bottom, self.top = layer, bottom, top
        self._blobs = [*bottom, *layer.blobs]
        self._start = [blob.data.copy() for blob in self._blobs]
        self._tops = [blob.data.copy() for blob in top]
        self._diffs = [blob.diff.copy() for blob in [*self._blobs, *top]]
        self._state = layer.state()
        self._draws = random.stream().state()
        self.forward()
        numbers = np.random.default_rng(seed)
        self.weights = [
            numbers.standard_normal(blob.shape) if layer.allow_top_gradient(i) else np.zeros(blob.shape)
            for i, blob in enumerate(top)
        ]
        self.values = self.tops()
        # Rounding of f: each element of a top carries an error of its own size times machine precision.
        self.rounding = 4 * EPSILON * sum(float(np.abs(y * g).sum()) for y, g in self._pairs(self.values))

    def _pairs(self, values: list[Array]) -> Iterator[tuple[Array, Array]]:
        return zip(values, self.weights, strict=True)

    def _reset(self) -> None:
        for blob, start in zip(self._blobs, self._start, strict=True):
            blob.data[...] = start
        if self._state is not None:
            self.layer.set_state(self._state)
        random.stream().set_state(self._draws)

    def restore(self) -> None:
        """Puts back all values and gradients, the layer's state and the random stream."""
        for blob, values in zip(self.top, self._tops, strict=True):
            blob.data[...] = values
        for blob, diff in zip([*self._blobs, *self.top], self._diffs, strict=True):
            blob.diff[...] = diff
        self._reset()

    def forward(self, blob: Blob | None = None, index: int = 0, value: float = 0.0) -> None:
        """Runs forward from the start, with one element of one blob changed."""
        self._reset()
        if blob is not None:
            blob.data.reshape(-1)[index] = value
        self.layer.forward(self.bottom, self.top)

    def start(self, blob: Blob) -> Array:
        """The flat values of a bottom or learnable blob at the point of the check."""
        values: Array = self._start[[b is blob for b in self._blobs].index(True)]
        return values.reshape(-1)

    def tops(self) -> list[Array]:
        """Copies of the tops' data."""
        return [blob.data.copy() for blob in self.top]

    def backward(self, wanted: Sequence[int]) -> None:
        """Runs forward and backward; returns the gradients of the bottoms in `wanted` and of all blobs."""
        self.forward()
        for blob in self._blobs:
            blob.diff.fill(0)
        for blob, weights in zip(self.top, self.weights, strict=True):
            blob.diff[...] = weights
        self.layer.backward(self.top, [i in wanted for i in range(len(self.bottom))], self.bottom)

    def at(self, blob: Blob, index: int, value: float) -> list[Array]:
        """The tops with one element changed."""
        self.forward(blob, index, value)
        return self.tops()

    def slope(self, blob: Blob, index: int, x: float, step: float) -> float:
        """The central difference of f."""
        high, low = x + step, x - step
        above, below = self.at(blob, index, high), self.at(blob, index, low)
        rise = sum(float(((a - b) * g).sum()) for (a, g), b in zip(self._pairs(above), below, strict=True))
        return rise / (high - low)

    def one_sided_slopes(self, blob: Blob, index: int, x: float, step: float) -> tuple[float, float]:
        """Bounds of f's slope at a corner: the sums of all top elements' smaller, and larger, slopes."""
        high, low = x + step, x - step
        above, below = self.at(blob, index, high), self.at(blob, index, low)
        least = most = 0.0
        for y, a, b, g in zip(self.values, above, below, self.weights, strict=True):
            right, left = (a - y) * g / (high - x), (y - b) * g / (x - low)
            least += float(np.minimum(left, right).sum())
            most += float(np.maximum(left, right).sum())
        return least, most


def check_layer_gradients(
    layer: Layer[Any],
    bottom: Blobs,
    top: Blobs,
    *,
    bottoms: Sequence[int] | None = None,
    blobs: Sequence[int] | None = None,
    kink: tuple[float, float] | None = None,
    samples: int | None = None,
    step: float = STEP,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> list[GradientReport]:
    """Compares a layer's backward with central differences of its forward.

    The layer is set up and shaped, and the bottoms hold the point to check at. Values, gradients, the layer's
    state and the random stream are restored afterwards. A layer that draws (Dropout) draws the same numbers
    in every pass.

    Args:
        layer: a layer of float64.
        bottom: its bottoms. top: its tops.
        bottoms: indices of the bottoms whose gradient to check; None for all that can have one.
        blobs: the same for the learnable blobs; None for all whose gradient is wanted.
        kink: a place to avoid, (location, range): elements x with | |x| - location | <= range are left out.
        samples: how many elements of each blob to check, drawn at random; None for all.
        step: h, to be multiplied by the element's magnitude if that is above 1.
        threshold: the largest error that passes.
        seed: of the top gradients and of the choice of elements.

    Returns:
        One report for each bottom and blob.

    Raises:
        ArgumentError: a layer of another type than float64.
    """
    if layer.dtype != np.float64:
        raise ArgumentError(f"a gradient check needs float64, layer '{layer.name}' has {layer.dtype}")
    if bottoms is None:
        bottoms = [i for i in range(len(bottom)) if layer.allow_force_backward(i)]
    if blobs is None:
        wanted = layer.param_propagate_down or [True] * len(layer.blobs)
        blobs = [i for i, want in enumerate(wanted) if want]
    settings = _Settings(kink, samples, step, threshold, seed)
    probe = _Probe(layer, bottom, top, seed)
    try:
        variables: list[_Variable] = [
            *_distinct(bottom, bottoms),
            *(_Variable(f"blob {i}", (layer.blobs[i],)) for i in blobs),
        ]
        probe.backward(bottoms)
        gradients = [np.add.reduce([blob.diff.ravel() for blob in v.blobs]) for v in variables]
        return [_check(probe, v, g, settings) for v, g in zip(variables, gradients, strict=True)]
    finally:
        probe.restore()


def _distinct(bottom: Blobs, wanted: Sequence[int]) -> list[_Variable]:
    """The bottoms to vary.

    Bottoms that share memory (the tops of a Split) vary together, so their gradients add up; such a group
    counts only if all of its gradients are wanted.
    """
    groups: list[list[int]] = []
    for i, blob in enumerate(bottom):
        for group in groups:
            if np.shares_memory(bottom[group[0]].data, blob.data):
                group.append(i)
                break
        else:
            groups.append([i])
    return [
        _Variable("bottom " + "+".join(map(str, group)), tuple(bottom[i] for i in group))
        for group in groups
        if all(i in wanted for i in group)
    ]


def _check(probe: _Probe, variable: _Variable, gradient: Array, settings: _Settings) -> GradientReport:
    """Compares the gradient of one bottom or blob, element by element."""
    blob = variable.blobs[0]
    start = probe.start(blob)
    indices = np.arange(start.size)
    if settings.kink is not None:
        location, reach = settings.kink
        indices = indices[np.abs(np.abs(start) - location) > reach]
    if settings.samples is not None and settings.samples < indices.size:
        numbers = np.random.default_rng(settings.seed)
        indices = np.sort(numbers.choice(indices, settings.samples, replace=False))
    peak = float(np.abs(gradient).max(initial=0.0))
    worst = _Element(-1, -1.0, 0.0, 0.0, False)
    kinks = 0
    for index in indices:
        element = _check_element(probe, blob, int(index), float(gradient[index]), peak, settings)
        kinks += element.at_kink
        if not element.error <= worst.error:
            worst = element
    return GradientReport(
        layer=probe.layer.name,
        type=probe.layer.type,
        blob=variable.label,
        checked=len(indices),
        kinks=kinks,
        error=max(worst.error, 0.0),
        index=tuple(int(i) for i in np.unravel_index(worst.at, blob.shape)) if len(indices) else None,
        analytic=worst.analytic,
        numeric=worst.numeric,
        threshold=settings.threshold,
    )


def _check_element(
    probe: _Probe, blob: Blob, index: int, analytic: float, peak: float, settings: _Settings
) -> _Element:
    x = float(probe.start(blob)[index])
    magnitude = max(1.0, abs(x))

    def error_of(numeric: float, step: float) -> float:
        # Differences below the rounding of f say nothing; the added term makes them pass.
        scale = max(abs(analytic), abs(numeric), peak) + probe.rounding / step / settings.threshold
        error = abs(analytic - numeric) / scale if scale else 0.0
        return math.inf if math.isnan(error) else error

    step = settings.step * magnitude
    numeric = probe.slope(blob, index, x, step)
    error = error_of(numeric, step)
    if error <= settings.threshold:
        return _Element(index, error, analytic, numeric, False)
    step = SMALL_STEP * magnitude
    least, most = probe.one_sided_slopes(blob, index, x, step)
    error_at_kink = error_of(float(np.clip(analytic, least, most)), step)
    if error_at_kink <= settings.threshold:
        return _Element(index, error_at_kink, analytic, numeric, True)
    return _Element(index, error, analytic, numeric, False)


def check_net(
    net: Net,
    *,
    layers: Collection[str] | None = None,
    samples: int | None = 50,
    step: float = STEP,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> Iterator[GradientReport]:
    """Checks the layers of a net one after the other, each on the values that reach it.

    The caller has filled the inputs. A layer is checked if it takes part in the net's backward pass, for the
    gradients that the net asks of it. With `force_backward` these are all gradients, except those of bottoms
    whose `propagate_down` is false and of blobs whose lr_mult is 0, which includes statistics. At the end the
    net has run forward once.

    Args:
        net: a net of float64.
        layers: names of the layers to check; None for all.
        samples: how many elements of each blob to check, drawn at random; None for all.
        step: h, to be multiplied by the element's magnitude if that is above 1.
        threshold: the largest error that passes.
        seed: of the top gradients and of the choice of elements.

    Yields:
        A report for each bottom and each learnable blob, layer by layer.

    Raises:
        ArgumentError: a net of another type than float64.
    """
    for node in net.graph.nodes:
        layer, bottom, top = node.layer, node.bottom, node.top
        layer.reshape(bottom, top)
        bottoms, blobs = _wanted(node)
        if (bottoms or blobs) and (layers is None or layer.name in layers):
            yield from check_layer_gradients(
                layer,
                bottom,
                top,
                bottoms=bottoms,
                blobs=blobs,
                samples=samples,
                step=step,
                threshold=threshold,
                seed=seed,
            )
        layer.forward(bottom, top)


def _wanted(node: Node) -> tuple[list[int], list[int]]:
    """Indices of the bottoms and of the learnable blobs of a net's layer whose gradients to check."""
    if not node.need_backward:
        return [], []
    layer, param = node.layer, node.layer.layer_param
    blocked = [not down for down in param.propagate_down] or [False] * len(node.bottom)
    fixed = [spec.lr_mult == 0 for spec in param.param]
    fixed += [False] * (len(layer.blobs) - len(fixed))
    return (
        [i for i, need in enumerate(node.bottom_need_backward) if need and not blocked[i]],
        [i for i, want in enumerate(layer.param_propagate_down) if want and not fixed[i]],
    )

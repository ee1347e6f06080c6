"""InnerProduct and Convolution, worked out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.view.explain.observed import Observed, largest
from pycaffe_lite.view.explain.worked import Explanation, Term, Worked, at, product, total


def inner_product(seen: Observed) -> Explanation:
    """Y = x wᵀ + b, row by row."""
    layer: Any = seen.layer
    M, K, N = layer.M, layer.K, layer.param.num_output
    x, y, dy = seen.x[0].reshape(M, K), seen.y[0].reshape(M, N), seen.dy[0].reshape(M, N)
    is_turned = layer.param.transpose
    w = seen.w[0].T if is_turned else seen.w[0]
    dw = seen.dw[0].T if is_turned else seen.dw[0]

    def weight(n: int, k: int) -> str:
        return at("w", (k, n) if is_turned else (n, k))

    shape = f"(K, N) = {K} x {N}" if is_turned else f"(N, K) = {N} x {K}"
    bias = f"b, (N,) = {N};  " if len(seen.w) > 1 else ""
    equations = [
        f"x, (M, K) = {M} x {K};  w, {shape};  {bias}y, (M, N) = {M} x {N}",
        f"y[m, n] = {_bias_name(seen, 'n')}Σ_k w[{'k, n' if is_turned else 'n, k'}] x[m, k],  k < {K}",
        f"dx[m, k] = Σ_n w[{'k, n' if is_turned else 'n, k'}] dy[m, n],  n < {N}",
        f"dw[{'k, n' if is_turned else 'n, k'}] = Σ_m x[m, k] dy[m, n],  m < {M}"
        + (";  db[n] = Σ_m dy[m, n]" if len(seen.w) > 1 else ""),
    ]
    worked = []
    m, n = largest(y)
    terms = [product(f"{weight(n, k)} {at('x', (m, k))}", w[n, k], x[m, k]) for k in range(K)]
    terms += _bias(seen, n)
    worked.append(
        Worked(at("y", (m, n)), f"{_bias_name(seen, n)}Σ_k w x", terms, total(terms), float(y[m, n]))
    )
    if seen.dx[0] is not None:
        dx = seen.dx[0].reshape(M, K)
        m, k = largest(dx)
        terms = [product(f"{weight(n, k)} {at('dy', (m, n))}", w[n, k], dy[m, n]) for n in range(N)]
        worked.append(Worked(at("dx", (m, k)), "Σ_n w dy", terms, total(terms), float(dx[m, k])))
    n, k = largest(dw)
    terms = [product(f"{at('x', (m, k))} {at('dy', (m, n))}", x[m, k], dy[m, n]) for m in range(M)]
    name = weight(n, k).replace("w", "dw", 1)
    worked.append(Worked(name, "Σ_m x dy", terms, total(terms), float(dw[n, k])))
    return Explanation(equations, worked)


def _bias_name(seen: Observed, channel: int | str) -> str:
    """What stands before the sum of an output: `b[3] + `, or nothing where there is no bias."""
    return f"b[{channel}] + " if len(seen.w) > 1 else ""


def _bias(seen: Observed, channel: int) -> list[Term]:
    if len(seen.w) < 2:
        return []
    value = float(seen.w[1][channel])
    return [Term(f"b[{channel}]", "", value)]


class _Convolution:
    """A convolution's indices, for any number of spatial axes; what is outside of the image is left out."""

    def __init__(self, seen: Observed) -> None:
        layer: Any = seen.layer
        window = layer.window
        self.kernel, self.stride, self.pad, self.dilation = (
            window.kernel,
            window.stride,
            window.pad,
            window.dilation,
        )
        axis = layer.axis
        self.x, self.y, self.dy = (
            array.reshape(layer.N, *array.shape[axis:]) for array in (seen.x[0], seen.y[0], seen.dy[0])
        )
        self.dx = None if seen.dx[0] is None else seen.dx[0].reshape(self.x.shape)
        self.w, self.dw = seen.w[0], seen.dw[0]
        self.per_group = self.w.shape[1]
        self.outputs = self.w.shape[0] // layer.group

    def offsets(self) -> itertools.product[tuple[int, ...]]:
        return itertools.product(*(range(k) for k in self.kernel))

    def position(self, place: tuple[int, ...], offset: tuple[int, ...]) -> tuple[int, ...] | None:
        """Where in the image a kernel's value lies for an output; None outside."""
        found = tuple(
            p * s - pad + i * d
            for p, s, pad, i, d in zip(place, self.stride, self.pad, offset, self.dilation, strict=True)
        )
        inside = all(0 <= h < size for h, size in zip(found, self.x.shape[2:], strict=True))
        return found if inside else None

    def place(self, position: tuple[int, ...], offset: tuple[int, ...]) -> tuple[int, ...] | None:
        """The output for which a kernel's value lies at a position; None if there is none."""
        places = []
        for h, s, pad, i, d, size in zip(
            position, self.stride, self.pad, offset, self.dilation, self.y.shape[2:], strict=True
        ):
            p, rest = divmod(h + pad - i * d, s)
            if rest or not 0 <= p < size:
                return None
            places.append(p)
        return tuple(places)

    def output(self, n: int, m: int, place: tuple[int, ...]) -> list[Term]:
        first = m // self.outputs * self.per_group
        terms = []
        for c in range(self.per_group):
            for offset in self.offsets():
                if (found := self.position(place, offset)) is not None:
                    v, u = (m, c, *offset), (n, first + c, *found)
                    terms.append(product(f"{at('w', v)} {at('x', u)}", self.w[v], self.x[u]))
        return terms

    def input_gradient(self, n: int, channel: int, position: tuple[int, ...]) -> list[Term]:
        group, c = divmod(channel, self.per_group)
        terms = []
        for m in range(group * self.outputs, (group + 1) * self.outputs):
            for offset in self.offsets():
                if (found := self.place(position, offset)) is not None:
                    v, u = (m, c, *offset), (n, m, *found)
                    terms.append(product(f"{at('w', v)} {at('dy', u)}", self.w[v], self.dy[u]))
        return terms

    def weight_gradient(self, m: int, c: int, offset: tuple[int, ...]) -> list[Term]:
        channel = m // self.outputs * self.per_group + c
        terms = []
        for n in range(self.x.shape[0]):
            for place in np.ndindex(*self.y.shape[2:]):
                if (found := self.position(place, offset)) is not None:
                    v, u = (n, channel, *found), (n, m, *place)
                    terms.append(product(f"{at('x', v)} {at('dy', u)}", self.x[v], self.dy[u]))
        return terms


def convolution(seen: Observed) -> Explanation:
    """The sums of a convolution: over the patch, over the outputs that read an input, over all places."""
    if len(seen.x) > 1:
        raise ArgumentError(f"{seen.layer.where()}: convolutions of several bottoms are not worked out here")
    c = _Convolution(seen)
    axes = len(c.kernel)
    out, inside, offset = ("p, q", "h, v", "i, j") if axes == 2 else ("p…", "h…", "i…")
    indices = ";  ".join(
        f"{h} = {p} · {s} − {pad} + {i} · {d}"
        for h, p, i, s, pad, d in zip(
            *(text.split(", ") if axes == 2 else [text] * axes for text in (inside, out, offset)),
            *(c.stride, c.pad, c.dilation),
            strict=True,
        )
    )
    kernel = " x ".join(map(str, c.kernel))
    reach = f"i < {c.kernel[0]}, j < {c.kernel[1]}" if axes == 2 else offset
    led = f"over all m, {offset}, {out} that lead to {inside}"
    equations = [
        f"x, {_sizes(c.x)};  w, {_sizes(c.w)} (kernel {kernel});  y, {_sizes(c.y)}",
        f"with {indices}, and 0 outside of the image:" if axes else "without spatial axes:",
        f"y[n, m, {out}] = {_bias_name(seen, 'm')}Σ w[m, c, {offset}] x[n, c, {inside}] "
        f"over c < {c.per_group}, {reach}",
        f"dx[n, c, {inside}] = Σ w[m, c, {offset}] dy[n, m, {out}] {led}",
        f"dw[m, c, {offset}] = Σ x[n, c, {inside}] dy[n, m, {out}] over n, {out}"
        + (";  db[m] = Σ dy" if len(seen.w) > 1 else ""),
    ]
    where = largest(c.y)
    m = where[1]
    terms = c.output(where[0], m, where[2:]) + _bias(seen, m)
    worked = [Worked(at("y", where), f"{_bias_name(seen, m)}Σ w x", terms, total(terms), float(c.y[where]))]
    if c.dx is not None:
        where = largest(c.dx)
        terms = c.input_gradient(where[0], where[1], where[2:])
        worked.append(Worked(at("dx", where), "Σ w dy", terms, total(terms), float(c.dx[where])))
    where = largest(c.dw)
    terms = c.weight_gradient(where[0], where[1], where[2:])
    worked.append(Worked(at("dw", where), "Σ x dy", terms, total(terms), float(c.dw[where])))
    return Explanation(equations, worked)


def _sizes(array: Any) -> str:
    return " x ".join(map(str, array.shape))

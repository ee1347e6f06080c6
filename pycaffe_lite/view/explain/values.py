"""ReLU, Scale, BatchNorm, Pooling and the softmaxes, worked out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.explain.observed import Observed, Values, largest
from pycaffe_lite.view.explain.worked import Explanation, Term, Worked, at, number, product, total


def relu(seen: Observed) -> Explanation:
    """Y = x where x > 0."""
    layer: Any = seen.layer
    slope = layer.param.negative_slope
    x, y, dy, dx = seen.x[0], seen.y[0], seen.dy[0], seen.dx[0]
    equations = [
        f"x and y, {' x '.join(map(str, x.shape))}",
        f"y = x where x > 0, else {slope:g} x;  dx = dy where x > 0, else {slope:g} dy",
    ]
    places = [largest(np.where(x > 0, x, 0)), largest(np.where(x > 0, 0, x))]
    worked = []
    for place in places:
        factor = 1.0 if x[place] > 0 else slope
        why = "x > 0" if x[place] > 0 else "x is not above 0"
        term = product(at("x", place), factor, x[place])
        worked.append(Worked(at("y", place), f"{factor:g} x, as {why}", [term], term.value, float(y[place])))
        if dx is not None:
            term = product(at("dy", place), factor, dy[place])
            name, held = at("dx", place), float(dx[place])
            worked.append(Worked(name, f"{factor:g} dy, as {why}", [term], term.value, held))
    return Explanation(equations, worked)


def scale(seen: Observed) -> Explanation:
    """Y = x s + b, s and b repeated over the axes that they lack."""
    layer: Any = seen.layer
    x, y, dy, dx = seen.x[0], seen.y[0], seen.dy[0], seen.dx[0]
    learnt = len(seen.x) == 1
    s = seen.w[0] if learnt else seen.x[1]
    ds = seen.dw[0] if learnt else seen.dx[1]
    axis = layer.param.axis % x.ndim if s.ndim else 0
    covered = range(axis, axis + s.ndim)

    def of(place: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(place[k] for k in covered)

    others = tuple(k for k in range(x.ndim) if k not in covered)
    equations = [
        f"x and y, {_sizes(x)};  s, {_sizes(s)}, along {f'the axes {list(covered)}' if s.ndim else 'none'}",
        "y = x s + b;  dx = dy s;  ds = Σ dy x and db = Σ dy, over the axes that s lacks",
    ]
    bias = seen.w[-1] if layer.bias is not None else None
    place = largest(y)
    terms = [product(f"{at('x', place)} {at('s', of(place))}", x[place], s[of(place)])]
    if bias is not None:
        value = float(bias[of(place)])
        terms.append(Term(at("b", of(place)), "", value))
    worked = [Worked(at("y", place), "x s + b", terms, total(terms), float(y[place]))]
    if dx is not None:
        place = largest(dx)
        term = product(f"{at('dy', place)} {at('s', of(place))}", dy[place], s[of(place)])
        worked.append(Worked(at("dx", place), "dy s", [term], term.value, float(dx[place])))
    if ds is not None:
        where = largest(ds)
        terms = []
        for rest in np.ndindex(*(x.shape[k] for k in others)):
            place = tuple(where[k - axis] if k in covered else rest[others.index(k)] for k in range(x.ndim))
            terms.append(product(f"{at('dy', place)} {at('x', place)}", dy[place], x[place]))
        worked.append(Worked(at("ds", where), "Σ dy x", terms, total(terms), float(ds[where])))
    return Explanation(equations, worked)


def batch_norm(seen: Observed) -> Explanation:
    """Y = (x - μ) / sqrt(v + eps) per channel."""
    layer: Any = seen.layer
    x, y, dy = (values.astype(np.float64) for values in (seen.x[0], seen.y[0], seen.dy[0]))
    dx = seen.dx[0]
    eps = layer.param.eps
    axes = tuple(k for k in range(x.ndim) if k != 1)
    count = x.size // x.shape[1]
    place = largest(y)
    c = place[1]
    values = np.moveaxis(x, 1, 0)[c]
    if layer.use_global_stats:
        sums = [float(blob.reshape(-1)[c if k < 2 else 0]) for k, blob in enumerate(seen.w)]
        factor = 1 / sums[2] if sums[2] else 0.0
        mean, variance = sums[0] * factor, sums[1] * factor
        source = [
            f"μ = mean[{c}] / factor = {number(sums[0])} / {sums[2]:g} = {mean:.7g}",
            f"v = variance[{c}] / factor = {number(sums[1])} / {sums[2]:g} = {variance:.7g}",
        ]
        gradient = "dx = dy / sqrt(v + eps)"
    else:
        mean, variance = float(values.mean()), float(values.var())
        source = [
            f"μ = the mean of the {count} values of channel {c} = {mean:.7g}",
            f"v = the mean of their (x − μ)² = {variance:.7g}",
        ]
        gradient = "dx = (dy − mean(dy) − y mean(dy y)) / sqrt(v + eps), means over the channel"
    root = math.sqrt(variance + eps)
    equations = [
        f"x and y, {_sizes(x)}; channels on axis 1; eps = {eps:g}",
        f"y = (x − μ) / sqrt(v + eps);  {gradient}",
    ]
    steps = [*source, f"({x[place]:.7g} − {number(mean)}) / sqrt({variance:.7g} + {eps:g})"]
    result = float((x[place] - mean) / root)
    worked = [Worked(at("y", place), "(x − μ) / sqrt(v + eps)", [], result, float(y[place]), steps)]
    if dx is not None:
        where = (place[0], c, *largest(np.moveaxis(dx, 1, 0)[c])[1:])
        if layer.use_global_stats:
            steps = [f"{dy[where]:.7g} / sqrt({variance:.7g} + {eps:g})"]
            result = float(dy[where] / root)
        else:
            m_dy, m_dyy = float(dy.mean(axis=axes)[c]), float((dy * y).mean(axis=axes)[c])
            steps = [
                f"mean(dy) = {m_dy:.7g};  mean(dy y) = {m_dyy:.7g}",
                f"({dy[where]:.7g} − {number(m_dy)} − {number(y[where])} × {number(m_dyy)}) / {root:.7g}",
            ]
            result = float((dy[where] - m_dy - y[where] * m_dyy) / root)
        worked.append(Worked(at("dx", where), gradient[5:], [], result, float(dx[where]), steps))
    return Explanation(equations, worked)


def pooling(seen: Observed) -> Explanation:
    """MAX: the largest value of a window; AVE: their sum by its area."""
    layer: Any = seen.layer
    kinds = caffe_pb2.PoolingParameter
    if layer.pool == kinds.STOCHASTIC:
        raise ArgumentError(f"{layer.where()}: pool STOCHASTIC draws its values; MAX and AVE are explained")
    is_max = layer.pool == kinds.MAX
    x, y, dy, dx = seen.x[0], seen.y[0], seen.dy[0], seen.dx[0]
    kernel, stride, pad = layer.kernel, layer.stride, layer.pad
    sizes = x.shape[2:]

    def window(p: int, q: int) -> tuple[list[tuple[int, int]], int]:
        """The positions under a window, and its area, which counts padding."""
        starts = [place * s - b for place, s, b in zip((p, q), stride, pad, strict=True)]
        ends = [min(a + k, n + b) for a, k, n, b in zip(starts, kernel, sizes, pad, strict=True)]
        area = math.prod(end - start for start, end in zip(starts, ends, strict=True))
        rows, columns = (range(max(a, 0), min(e, n)) for a, e, n in zip(starts, ends, sizes, strict=True))
        return [(h, v) for h in rows for v in columns], area

    def winner(n: int, c: int, p: int, q: int) -> tuple[int, int]:
        return max(window(p, q)[0], key=lambda place: (x[n, c][place], -place[0], -place[1]))

    size = f"kernel {kernel[0]} x {kernel[1]}, stride {stride[0]} x {stride[1]}, pad {pad[0]} x {pad[1]}"
    rule = (
        "y = the largest x of the window;  dx = Σ dy of the windows in which x is the (first) largest"
        if is_max
        else "y = Σ x of the window / its area;  dx = Σ dy / area of the windows that hold x"
    )
    equations = [f"x, {_sizes(x)};  y, {_sizes(y)};  {size}", rule]
    n, c, p, q = largest(y)
    inside, area = window(p, q)
    terms = [Term(at("x", (n, c, *place)), "", float(x[n, c][place])) for place in inside]
    result = max(term.value for term in terms) if is_max else total(terms) / area
    steps = ["the largest of these"] if is_max else [f"their sum / area = {total(terms):.7g} / {area}"]
    name, held = at("y", (n, c, p, q)), float(y[n, c, p, q])
    formula = "max x" if is_max else "Σ x / area"
    worked = [Worked(name, formula, terms, result, held, steps, joins=not is_max)]
    if dx is not None:
        n, c, h, v = largest(dx)
        terms = []
        for p, q in np.ndindex(*y.shape[2:]):
            inside, area = window(p, q)
            if (h, v) in inside and (not is_max or winner(n, c, p, q) == (h, v)):
                what = at("dy", (n, c, p, q))
                value = float(dy[n, c, p, q])
                numbers = "" if is_max else f"{number(value)} / {area}"
                terms.append(Term(what, numbers, value if is_max else value / area))
        formula = "Σ dy of the windows that x wins" if is_max else "Σ dy / area"
        worked.append(Worked(at("dx", (n, c, h, v)), formula, terms, total(terms), float(dx[n, c, h, v])))
    return Explanation(equations, worked)


def softmax(seen: Observed) -> Explanation:
    """Y = e^(x - m) / Σ e^(x - m) over an axis."""
    layer: Any = seen.layer
    x, y, dy, dx = seen.x[0], seen.y[0], seen.dy[0], seen.dx[0]
    axis = layer.param.axis % x.ndim
    equations = [
        f"x and y, {_sizes(x)}; classes on axis {axis}, {x.shape[axis]} of them",
        "y_c = e^(x_c − m) / Σ_k e^(x_k − m), m = max_k x_k;  dx_c = y_c (dy_c − Σ_k dy_k y_k)",
    ]
    place = largest(y)
    worked = [_softmax_value(x, axis, place, float(y[place]), at("y", place))]
    if dx is not None:
        place = largest(dx)
        terms = []
        for k in range(x.shape[axis]):
            other = (*place[:axis], k, *place[axis + 1 :])
            terms.append(product(f"{at('dy', other)} {at('y', other)}", dy[other], y[other]))
        result = float(y[place]) * (float(dy[place]) - total(terms))
        step = f"{y[place]:.7g} × ({dy[place]:.7g} − {number(total(terms))})"
        worked.append(
            Worked(at("dx", place), "y (dy − Σ_k dy_k y_k)", terms, result, float(dx[place]), [step])
        )
    return Explanation(equations, worked)


def _softmax_value(x: Values, axis: int, place: tuple[int, ...], held: float, name: str) -> Worked:
    line = [(*place[:axis], k, *place[axis + 1 :]) for k in range(x.shape[axis])]
    top = max(float(x[other]) for other in line)
    terms = [
        Term(
            f"e^({at('x', other)} − m)",
            f"e^({x[other]:.6g} − {number(top)})",
            math.exp(float(x[other]) - top),
        )
        for other in line
    ]
    own = math.exp(float(x[place]) - top)
    steps = [f"m = {top:.7g}, the largest x of these", f"{own:.7g} / {total(terms):.7g}"]
    return Worked(name, "e^(x − m) / Σ_k e^(x_k − m)", terms, own / total(terms), held, steps)


def softmax_with_loss(seen: Observed) -> Explanation:
    """The mean of -ln p[label], and its gradient (p - [c = label]) w / Z."""
    layer: Any = seen.layer
    outer, C, inner = layer.outer, layer.C, layer.inner
    x = seen.x[0].reshape(outer, C, inner)
    labels = seen.x[1].reshape(outer, inner).astype(int)
    ignored = layer.ignore_label
    counted = [(n, i) for n in range(outer) for i in range(inner) if labels[n, i] != ignored]
    Z = layer.normalizer(outer, inner, len(counted))
    weight = float(seen.dy[0].reshape(-1)[0])
    shifted = x.astype(np.float64) - x.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    equations = [
        f"x, (n, c, i) = {outer} x {C} x {inner}; a label for each n and i, {len(counted)} of them counted",
        "p = softmax of x over c;  loss = −1/Z Σ_n,i ln p[n, label, i]",
        f"dx[n, c, i] = w/Z (p[n, c, i] − [c = label]);  Z = {Z:g};  loss weight w = {weight:g}",
    ]
    terms = []
    for n, i in counted:
        value = float(p[n, labels[n, i], i])
        terms.append(
            Term(f"−ln {at('p', (n, labels[n, i], i))}", f"−ln {value:.6g}", -math.log(max(value, 1.2e-38)))
        )
    loss = float(seen.y[0].reshape(-1)[0])
    step = f"divided by Z = {Z:g}"
    worked = [Worked("loss", "−1/Z Σ ln p[n, label, i]", terms, total(terms) / Z, loss, [step])]
    if seen.dx[0] is not None:
        dx = seen.dx[0].reshape(outer, C, inner)
        n, c, i = largest(dx)
        inner_value = _softmax_value(x, 1, (n, c, i), float(p[n, c, i]), at("p", (n, c, i)))
        hit = int(labels[n, i] == c)
        result = weight / Z * (float(p[n, c, i]) - hit) if labels[n, i] != ignored else 0.0
        why = f"[c = label] = {hit}, as the label is {labels[n, i]}"
        of_p = f"p = {inner_value.steps[1]} = {inner_value.result:.7g}"
        steps = [inner_value.steps[0], of_p, f"{weight:g} / {Z:g} × ({p[n, c, i]:.7g} − {hit});  {why}"]
        name = at("dx", (n, c, i))
        worked.append(
            Worked(name, "w/Z (p − [c = label])", inner_value.terms, result, float(dx[n, c, i]), steps)
        )
    return Explanation(equations, worked)


def _sizes(array: Any) -> str:
    return " x ".join(map(str, array.shape)) or "1"

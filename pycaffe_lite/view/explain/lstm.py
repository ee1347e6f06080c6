"""LSTM, unrolled in time and worked out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.view.explain.observed import Observed, largest
from pycaffe_lite.view.explain.worked import Explanation, Term, Worked, at, number, product, total

Values = npt.NDArray[np.float64]
_GATES = "ifog"


class _Steps(NamedTuple):
    """The values of all steps: z and its gradient, (T, N, 4 D); i, f, o, g; c and h with those before."""

    z: Values
    gates: list[Values]
    c: Values
    h: Values
    dz: Values


def lstm(seen: Observed) -> Explanation:
    """One output through its gates, and gradients from those of the gates, step after step backward."""
    layer: Any = seen.layer
    if layer.static or layer.param.expose_hidden:
        raise ArgumentError(f"{layer.where()}: x_static and expose_hidden are not worked out here")
    T, N, D = seen.y[0].shape
    inputs = layer.I
    x = seen.x[0].reshape(T, N, inputs).astype(np.float64)
    cont = seen.x[1].reshape(T, N)
    w_x, b, w_h = (blob.astype(np.float64) for blob in seen.w)
    steps = _run(x, cont, w_x, b, w_h, seen.dy[0].astype(np.float64), seen.y[0])
    equations = [
        f"x, (T, N, I) = {T} x {N} x {inputs};  h, (T, N, D) = {T} x {N} x {D}",
        f"W_xc, (4 D, I) = {4 * D} x {inputs};  b_c, (4 D,) = {4 * D};  W_hc, (4 D, D) = {4 * D} x {D}",
        "z_t = W_xc x_t + b_c + W_hc (cont_t h_t−1), in four blocks of D for the gates i, f, o and g",
        "i, f, o = σ(z_i), σ(z_f), σ(z_o);  g = tanh(z_g);  c_t = cont_t f c_t−1 + i g;  h_t = o tanh(c_t)",
        "backward, from t = T on: δc = dh o (1 − tanh² c) + what comes from t + 1;  δc f goes on to t − 1",
        "dz_i = δc g i (1 − i);  dz_f = δc c_t−1 f (1 − f);  dz_o = dh tanh(c) o (1 − o);",
        "dz_g = δc i (1 − g²)",
        "dW_xc = Σ_t,n dz x;  dW_hc = Σ_t,n dz (cont h_t−1);  db_c = Σ_t,n dz;  dx_t = W_xcᵀ dz_t",
    ]
    worked = [_output(seen, x, cont, steps)]
    if seen.dx[0] is not None:
        dx = seen.dx[0].reshape(T, N, inputs)
        t, n, k = largest(dx)
        terms = [
            product(f"{at('W_xc', (j, k))} {at('dz', (t, n, j))}", w_x[j, k], steps.dz[t, n, j])
            for j in range(4 * D)
        ]
        worked.append(Worked(at("dx", (t, n, k)), "Σ_j W_xc dz", terms, total(terms), float(dx[t, n, k])))
    j, k = largest(seen.dw[0])
    terms = [
        product(f"{at('dz', (t, n, j))} {at('x', (t, n, k))}", steps.dz[t, n, j], x[t, n, k])
        for t in range(T)
        for n in range(N)
    ]
    held = float(seen.dw[0][j, k])
    worked.append(Worked(at("dW_xc", (j, k)), "Σ_t,n dz x", terms, total(terms), held))
    return Explanation(equations, worked)


def _sigmoid(z: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-z)))


def _run(x: Values, cont: Any, w_x: Values, b: Values, w_h: Values, dy: Values, y: Any) -> _Steps:
    """Forward and backward through time; the state before the first step is 0, as in a net's first pass."""
    T, N, D = y.shape
    z, dz = np.zeros((T, N, 4 * D)), np.zeros((T, N, 4 * D))
    c, h = np.zeros((T + 1, N, D)), np.zeros((T + 1, N, D))
    i, f, o, g = (np.zeros((T, N, D)) for _ in range(4))
    for t in range(T):
        z[t] = x[t] @ w_x.T + b + (cont[t, :, np.newaxis] * h[t]) @ w_h.T
        blocks = z[t].reshape(N, 4, D)
        i[t], f[t], o[t] = _sigmoid(blocks[:, 0]), _sigmoid(blocks[:, 1]), _sigmoid(blocks[:, 2])
        f[t] *= cont[t, :, np.newaxis]
        g[t] = np.tanh(blocks[:, 3])
        c[t + 1] = f[t] * c[t] + i[t] * g[t]
        h[t + 1] = o[t] * np.tanh(c[t + 1])
    dc, dh = np.zeros((N, D)), np.zeros((N, D))
    for t in reversed(range(T)):
        dh += dy[t]
        tanh = np.tanh(c[t + 1])
        dc = dc + dh * o[t] * (1 - tanh**2)
        parts = (
            dc * g[t] * i[t] * (1 - i[t]),
            dc * c[t] * f[t] * (1 - f[t]),
            dh * tanh * o[t] * (1 - o[t]),
            dc * i[t] * (1 - g[t] ** 2),
        )
        dz[t] = np.concatenate(parts, axis=1)
        dh = cont[t, :, np.newaxis] * (dz[t] @ w_h)
        dc = dc * f[t]
    return _Steps(z, [i, f, o, g], c, h, dz)


def _output(seen: Observed, x: Values, cont: Any, steps: _Steps) -> Worked:
    """An output: the sum that leads to its gate i, the other gates, and what they make."""
    layer: Any = seen.layer
    y, (w_x, b, w_h), D = seen.y[0], seen.w, layer.D
    t, n, d = largest(y)
    terms = [
        product(f"{at('W_xc', (d, k))} {at('x', (t, n, k))}", w_x[d, k], x[t, n, k]) for k in range(layer.I)
    ]
    terms.append(Term(f"b_c[{d}]", "", float(b[d])))
    if cont[t, n]:
        terms += [
            product(f"{at('W_hc', (d, k))} {at('h', (t - 1, n, k))}", w_h[d, k], steps.h[t, n, k])
            for k in range(D)
        ]
    lines = [f"z_i = {total(terms):.7g}, the sum of the terms"]
    for block, (name, values) in enumerate(zip(_GATES, steps.gates, strict=True)):
        z = steps.z[t, n, block * D + d]
        lines.append(f"{name} = {'tanh' if name == 'g' else 'σ'}({z:.7g}) = {values[t, n, d]:.7g}")
    i, f, o, g = (values[t, n, d] for values in steps.gates)
    c, before = steps.c[t + 1, n, d], steps.c[t, n, d]
    lines.append(f"c = f c_t−1 + i g = {f:.6g} × {number(before)} + {i:.6g} × {number(g)} = {c:.7g}")
    lines.append(f"h = o tanh(c) = {o:.6g} × tanh({c:.7g})")
    return Worked(
        at("h", (t, n, d)),
        "o tanh(c), with z_i =",
        terms,
        float(steps.h[t + 1, n, d]),
        float(y[t, n, d]),
        lines,
    )

"""Recurrent layers: Caffe's LSTM, and others written out step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pycaffe_lite.export.importing.caffe_net import CaffeNet, InexpressibleError
from pycaffe_lite.export.importing.node import Node, Value, operator
from pycaffe_lite.export.importing.operators.layout import part_of, parts_of
from pycaffe_lite.export.importing.operators.padding import rows_of
from pycaffe_lite.export.importing.values import Array, View

# Steps that are written out, each with layers of its own.
_MOST_STEPS = 128
# What a direction gives: all states (T, N, H), the last one (N, H), and the last cell of an LSTM.
_Run = tuple[View, View, View | None]


class _Weights:
    """The weights of one direction of a recurrent node.

    Attributes:
        w: of the input, (gates * H, I). r: of the state, (gates * H, H). bias: of both, (2 * gates * H,).
    """

    def __init__(self, node: Node, direction: int, gates: int) -> None:
        self.w = node.constant(1, "weights")[direction].astype(np.float32)
        self.r = node.constant(2, "recurrent weights")[direction].astype(np.float32)
        self.size = self.r.shape[1]
        zeros = np.zeros(2 * gates * self.size, np.float32)
        self.bias = node.constant(3, "bias")[direction] if node.has(3) else zeros
        self.input_bias, self.state_bias = np.split(self.bias.astype(np.float32), 2)


def _checked(node: Node, gates: int, usual: Sequence[str]) -> tuple[View, list[int]]:
    """The input (T, N, I) and the directions, each 1 or -1.

    Raises:
        InexpressibleError: the node has something that the layers lack.
    """
    x = node.view()
    if node.attribute("layout", 0):
        x = x.transposed((1, 0, 2))
    if node.has(4) and np.any(node.constant(4, "lengths") != x.shape[0]):
        raise InexpressibleError("its items have lengths of their own")
    direction = node.attribute("direction", "forward")
    directions = {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}[direction]
    given = node.attribute("activations")
    names = [name.decode() if isinstance(name, bytes) else name for name in given or []]
    if names and [name.lower() for name in names] != [name.lower() for name in usual] * len(directions):
        raise InexpressibleError(
            f"it has the activations {', '.join(names)}; the layers have {', '.join(usual)}"
        )
    if node.attribute("clip") or node.attribute("input_forget", 0):
        raise InexpressibleError("it clips its gates, or couples them")
    return x, directions


def _initial(node: Node, position: int, direction: int) -> Value | None:
    """The first state (N, H) of a direction; None for zeros."""
    if not node.has(position):
        return None
    value = node.inputs[position]
    if node.attribute("layout", 0) and value is not None:
        value = value.transpose(1, 0, 2) if isinstance(value, np.ndarray) else value.transposed((1, 0, 2))
    if isinstance(value, np.ndarray):
        return value[direction] if np.any(value[direction]) else None
    assert isinstance(value, View)
    part = part_of(node.net, value, 0, direction, direction + 1)
    return View(part.blob, part.axes[1:])


def _results(node: Node, runs: Sequence[_Run], directions: Sequence[int]) -> list[View | None]:
    """The node's results: Y (T, D, N, H), Y_h (D, N, H), Y_c."""
    net = node.net
    by_batch = bool(node.attribute("layout", 0))
    results: list[View | None] = []
    for output in range(len(node.outputs)):
        if not node.is_used(output):
            results.append(None)
            continue
        blobs = []
        for run, direction in zip(runs, directions, strict=True):
            view = run[output]
            assert view is not None
            if output == 0 and direction < 0:
                view = rows_of(net, view, 0, list(range(view.shape[0]))[::-1])
            shape = (view.shape[0], 1, *view.shape[1:]) if output == 0 else (1, *view.shape)
            blobs.append(net.reshape(net.plain(view), shape))
        blob = net.concat(blobs, 1 if output == 0 else 0)
        view = View.of(blob, net.shapes[blob])
        if by_batch:
            view = view.transposed((2, 0, 1, 3) if output == 0 else (1, 0, 2))
        results.append(view)
    return results


def _turned(net: CaffeNet, x: View, direction: int) -> View:
    return x if direction > 0 else rows_of(net, x, 0, list(range(x.shape[0]))[::-1])


@operator("LSTM")
def lstm(node: Node) -> list[View | None]:
    """Caffe's LSTM, whose gates stand in another order; its state begins anew with each pass."""
    net = node.net
    x, directions = _checked(node, 4, ("Sigmoid", "Tanh", "Tanh"))
    if node.has(7) and np.any(node.constant(7, "peepholes")):
        raise InexpressibleError("its gates look at the cell (peepholes), which those of Caffe's LSTM do not")
    runs = []
    for i, direction in enumerate(directions):
        weights = _Weights(node, i, 4)
        first = _initial(node, 5, i), _initial(node, 6, i)
        needs_state = any(value is not None for value in first) or node.is_used(2)
        runs.append(_lstm(net, _turned(net, x, direction), weights, first, needs_state))
    return _results(node, runs, directions)


def _lstm(
    net: CaffeNet, x: View, weights: _Weights, first: tuple[Value | None, Value | None], needs_state: bool
) -> _Run:
    steps, batch = x.shape[:2]
    size = weights.size

    def gates(values: Array) -> Array:  # ONNX: i o f c; Caffe: i f o g
        i, o, f, c = np.split(values, 4)
        return np.concatenate([i, f, o, c])

    cont = np.ones((steps, batch), np.float32)
    cont[0] = 1.0 if needs_state else 0.0
    blobs = [gates(weights.w), gates(weights.input_bias + weights.state_bias), gates(weights.r)]
    bottoms = [net.plain(x), net.parameter(cont)]
    shapes: list[tuple[int, ...]] = [(steps, batch, size)]
    param: dict[str, object] = {"num_output": size}
    if needs_state:
        param["expose_hidden"] = True
        shapes += [(1, batch, size)] * 2
        for value in first:
            if isinstance(value, View):
                bottoms.append(net.reshape(net.plain(value), (1, batch, size)))
            else:
                start = np.zeros((batch, size)) if value is None else value
                bottoms.append(net.parameter(start.reshape(1, batch, size).astype(np.float32)))
    tops = net.add("LSTM", bottoms, shapes, weights=blobs, main=True, recurrent_param=param)
    states = View.of(tops[0], shapes[0])
    if needs_state:
        last, cell = (View.of(net.reshape(top, (batch, size)), (batch, size)) for top in tops[1:])
        return states, last, cell
    last = part_of(net, states, 0, steps - 1, steps)
    return states, View(last.blob, last.axes[1:]), None


@operator("GRU", "RNN")
def written_out(node: Node) -> list[View | None]:
    """Step by step: Caffe's RNN has another layer behind its state, and it has no GRU."""
    net = node.net
    gates = 3 if node.op == "GRU" else 1
    x, directions = _checked(node, gates, ("Sigmoid", "Tanh") if gates == 3 else ("Tanh",))
    if x.shape[0] > _MOST_STEPS:
        raise InexpressibleError(
            f"it has {x.shape[0]} steps; Caffe has no such layer, and up to {_MOST_STEPS} are written out",
            "train it with an LSTM, or give it shorter sequences",
        )
    step = _gru_step if gates == 3 else _rnn_step
    runs = []
    for i, direction in enumerate(directions):
        weights = _Weights(node, i, gates)
        runs.append(_steps(node, _turned(net, x, direction), weights, _initial(node, 5, i), step))
    return _results(node, runs, directions)


_Step = Callable[[Node, View, View, _Weights], View]


def _steps(node: Node, x: View, weights: _Weights, first: Value | None, step: _Step) -> _Run:
    """All steps one after another; the input's products for all of them at once."""
    net = node.net
    count, batch = x.shape[:2]
    outputs = len(weights.w)
    flat = net.reshape(net.plain(x), (count * batch, x.shape[2]))
    made = net.one(
        "InnerProduct",
        flat,
        (count * batch, outputs),
        weights=[weights.w, weights.input_bias],
        main=True,
        inner_product_param={"num_output": outputs},
    )
    inputs = parts_of(net, View.of(made, (count * batch, outputs)), 0, [batch] * count)
    size = weights.size
    start = first if first is not None else np.zeros((batch, size), np.float32)
    state = (
        start if isinstance(start, View) else View.of(net.parameter(start.astype(np.float32)), (batch, size))
    )
    states = []
    for part in inputs:
        state = step(node, part, state, weights)
        states.append(net.reshape(net.plain(state), (1, batch, size)))
    return View.of(net.concat(states, 0), (count, batch, size)), state, None


def _times(net: CaffeNet, state: View, matrix: Array, bias: Array) -> View:
    """An InnerProduct of the state; each step has its own copy of the weights."""
    shape = (state.shape[0], len(matrix))
    param = {"num_output": len(matrix)}
    return View.of(
        net.one("InnerProduct", net.plain(state), shape, weights=[matrix, bias], inner_product_param=param),
        shape,
    )


def _rnn_step(node: Node, x: View, state: View, weights: _Weights) -> View:
    """One step: h = tanh(W x + R h + b)."""
    net = node.net
    return net.same(net.eltwise([x, _times(net, state, weights.r, weights.state_bias)], "SUM"), "TanH")


def _gru_step(node: Node, x: View, state: View, weights: _Weights) -> View:
    """One step: z, r = σ(...); h' = tanh(W x + r (R h + b)); h = (1 - z) h' + z h.

    Source: the operator GRU in onnx's documentation
    """
    net, size = node.net, weights.size
    x_gates, x_new = parts_of(net, x, 1, [2 * size, size])
    if node.attribute("linear_before_reset", 0):
        both = _times(net, state, weights.r, weights.state_bias)
        h_gates, h_new = parts_of(net, both, 1, [2 * size, size])
    else:
        h_gates = _times(net, state, weights.r[: 2 * size], weights.state_bias[: 2 * size])
    z, r = parts_of(net, net.same(net.eltwise([x_gates, h_gates], "SUM"), "Sigmoid"), 1, [size, size])
    if node.attribute("linear_before_reset", 0):
        h_new = net.eltwise([r, h_new], "PROD")
    else:
        reset = net.eltwise([r, state], "PROD")
        h_new = _times(net, reset, weights.r[2 * size :], weights.state_bias[2 * size :])
    new = net.same(net.eltwise([x_new, h_new], "SUM"), "TanH")
    # h = h' + z (h - h')
    change = net.eltwise([z, net.eltwise([state, new], "SUM", (1, -1))], "PROD")
    return net.eltwise([new, change], "SUM")

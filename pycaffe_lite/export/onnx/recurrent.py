"""Layers that run over time steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from pycaffe_lite.export.onnx.graph import Shape, count_of
from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.recurrent.lstm import LSTMLayer
from pycaffe_lite.layer.recurrent.lstm_unit import LSTMUnitLayer
from pycaffe_lite.layer.recurrent.plain_lstm import PlainLSTMLayer
from pycaffe_lite.layer.recurrent.recurrent import RecurrentLayer
from pycaffe_lite.layer.recurrent.rnn import RNNLayer
from pycaffe_lite.layer.sequence.continuation_indicator import ContinuationIndicatorLayer

# From the state, a step's gates (N, gates D) and its cont (N, 1): the new state, of which the first is h.
Step = Callable[[LayerGraph, list[str], str, str], list[str]]


def _lstm_cell(g: LayerGraph, cell: str, gates: str, cont: str, axis: int) -> tuple[str, str]:
    """C and h of LSTM units, whose gates stand one after another along an axis."""
    i, f, o, candidate = g.split(gates, axis, [int(g.top_shapes[0][-1])] * 4)
    kept = g.op("Mul", g.op("Mul", g.op("Sigmoid", f), cont), cell)
    c = g.op("Add", kept, g.op("Mul", g.op("Sigmoid", i), g.tanh(candidate)))
    return c, g.op("Mul", g.op("Sigmoid", o), g.tanh(c))


@converts(LSTMUnitLayer)
def lstm_unit(g: LayerGraph, layer: LSTMUnitLayer) -> list[str]:
    """`Split`, `Sigmoid`, `Tanh`, `Mul` and `Add`."""
    cell, gates, cont = g.bottoms
    return list(_lstm_cell(g, cell, gates, g.unsqueeze(cont, [2]), 2))


def _lstm_step(recurrent: str) -> Step:
    """A step of an LSTM with such weights of h."""

    def step(inner: LayerGraph, state: list[str], gates: str, cont: str) -> list[str]:
        h, c = state
        gated = inner.op("Mul", h, cont)
        total = inner.op("Gemm", gated, recurrent, gates, transB=1)
        c, h = _lstm_cell(inner, c, total, cont, 1)
        return [h, c]

    return step


@converts(PlainLSTMLayer)
def plain_lstm(g: LayerGraph, layer: PlainLSTMLayer) -> str:
    """As LSTM."""
    if not all(isinstance(n, int) for n in g.top_shapes[0]):
        raise g.refuse("its steps and sequences have to be fixed: give a batch size")
    if g.for_opencv and len(g.bottoms) == 1:
        raise g.refuse("OpenCV 5.0 does not load the steps of an LSTM without a bottom of indicators")
    T, N, H = layer.T, layer.N, layer.H
    rows = g.reshape(g.x, (T * N, layer.I))
    gates = g.op("Gemm", rows, g.weight(layer.blobs[0], "weight"), g.weight(layer.blobs[2], "bias"), transB=1)
    gates = g.reshape(gates, (T, N, 4 * H), (T * N, 4 * H))
    if len(g.bottoms) > 1:
        cont = g.to_float(g.to_bool(g.reshape(g.bottoms[1], (T, N, 1), g.bottom_shapes[1])))
        carried = [_carried_in(g, part, (1, N, H)) for part in "hc"]
        first = [g.squeeze(state, [0]) for state in carried]
    else:
        cont = g.floats(np.repeat([0.0] + [1.0] * (T - 1), N).reshape(T, N, 1))
        first = [g.floats(np.zeros((N, H)))] * 2
    step = _lstm_step(g.weight(layer.blobs[1], "recurrent"))
    y, last = (_unrolled if g.for_opencv else _scan)(g, step, first, gates, cont)
    if len(g.bottoms) > 1 and not g.for_opencv:
        _carried_out(g, "hc", carried, [g.unsqueeze(state, [0]) for state in last], (1, N, H))
    return g.reshape(y, g.top_shapes[0], (T, N, H))


@converts(LSTMLayer)
def lstm(g: LayerGraph, layer: LSTMLayer) -> list[str]:
    """`Gemm` over all steps, then `Scan` with a step's `Mul`, `Gemm`, `Split`, `Sigmoid`, `Tanh`."""
    y, last = _run(g, layer, _lstm_step(g.weight(layer.blobs[-1], "recurrent")))
    return [y, *last][: len(g.top_shapes)]


@converts(RNNLayer)
def rnn(g: LayerGraph, layer: RNNLayer) -> list[str]:
    """`Gemm` over all steps, `Scan` with a step's `Mul`, `Gemm` and `Tanh`, then `Gemm` and `Tanh`."""
    recurrent, out, bias = (g.weight(blob, name) for blob, name in zip(
        layer.blobs[-3:], ("recurrent", "output_weight", "output_bias"), strict=True
    ))  # fmt: skip

    def step(inner: LayerGraph, state: list[str], gates: str, cont: str) -> list[str]:
        gated = inner.op("Mul", state[0], cont)
        return [inner.tanh(inner.op("Gemm", gated, recurrent, gates, transB=1))]

    hidden, last = _run(g, layer, step)
    T, N, D = g.top_shapes[0]
    rows: Shape = (count_of((T, N)), D)
    o = g.op("Gemm", g.reshape(hidden, rows, (T, N, D)), out, bias, transB=1)
    return [g.tanh(g.reshape(o, (T, N, D), rows)), *last][: len(g.top_shapes)]


def _run(g: LayerGraph, layer: RecurrentLayer, step: Step) -> tuple[str, list[str]]:
    """The outputs of all steps, (T, N, D), and the last state, (1, N, D) each.

    What the layer carries from one pass to the next are inputs of the graph, zeros if they are not given, and
    outputs of it.
    """
    T, N = g.bottom_shapes[1]
    D, width = layer.D, layer.gates * layer.D
    rows = g.reshape(g.x, (count_of((T, N)), layer.I))
    gates = g.op("Gemm", rows, g.weight(layer.blobs[0], "weight"), g.weight(layer.blobs[1], "bias"), transB=1)
    gates = g.reshape(gates, (T, N, width), (count_of((T, N)), width))
    if layer.static:
        static = g.flatten_from(g.bottoms[2], 1, g.bottom_shapes[2])
        gates = g.op("Add", gates, g.op("MatMul", static, g.weight(layer.blobs[2].data.T, "static_weight")))
    cont = g.unsqueeze(g.bottoms[1], [2])
    if layer.param.expose_hidden:
        first = list(g.bottoms[layer.exposed])
    else:
        carried = [_carried_in(g, name, (1, N, D)) for name in layer.states]
        first = [_for_batch(g, state, N, D) for state in carried]
    first = [g.squeeze(state, [0]) for state in first]
    y, last = (_unrolled if g.for_opencv else _scan)(g, step, first, gates, cont)
    last = [g.unsqueeze(state, [0]) for state in last]
    if not (layer.param.expose_hidden or g.for_opencv):
        _carried_out(g, layer.states, carried, last, (1, N, D))
    return y, last


def _carried_out(
    g: LayerGraph, names: Iterable[str], before: list[str], after: list[str], shape: Shape
) -> None:
    """Makes the state after the last step outputs of the graph, for the next pass."""
    for name, given, left in zip(names, before, after, strict=True):
        result = g.named(left, f"{name}_T")
        g.graph.outputs[result] = shape
        g.graph.states[result] = given


def _carried_in(g: LayerGraph, name: str, shape: Shape) -> str:
    """A part of the state before the first step: an input of the graph with zeros as its default."""
    zeros = np.zeros([n if isinstance(n, int) else 1 for n in shape], np.float32)
    state = g.weight(zeros, f"{name}_0")
    if not g.for_opencv:  # which knows no default values of inputs
        g.graph.inputs[state] = shape
    return state


def _for_batch(g: LayerGraph, state: str, N: int | str, D: int) -> str:
    """The state of N sequences; where their number is open, the default is that of one."""
    if isinstance(N, int):
        return state
    size = g.op("Gather", g.op("Shape", g.bottoms[1]), g.ints([1]))
    return g.op("Expand", state, g.op("Concat", g.ints([1]), size, g.ints([D]), axis=0))


def _scan(g: LayerGraph, step: Step, first: list[str], gates: str, cont: str) -> tuple[str, list[str]]:
    """One `Scan` over axis 0 of the gates, (T, N, gates D), and of cont, (T, N, 1)."""
    inner = g.inside()
    states = [inner.graph.fresh(f"{g.layer.name}/state") for _ in first]
    own_gates, own_cont = (inner.graph.fresh(f"{g.layer.name}/{name}") for name in ("gates", "cont"))
    new = step(inner, states, own_gates, own_cont)
    given = inner.op("Identity", new[0])  # an output of its own, for the list of all steps' outputs
    body = inner.graph.as_body(f"{g.layer.name}/step", [*states, own_gates, own_cont], [*new, given])
    *last, y = g.ops("Scan", *first, gates, cont, results=len(first) + 1, body=body, num_scan_inputs=2)
    return y, last


def _unrolled(g: LayerGraph, step: Step, first: list[str], gates: str, cont: str) -> tuple[str, list[str]]:
    """As `_scan`, step by step."""
    T = int(g.top_shapes[0][0])
    state, outputs = first, []
    for own_gates, own_cont in zip(g.split(gates, 0, [1] * T), g.split(cont, 0, [1] * T), strict=True):
        state = step(g, state, g.squeeze(own_gates, [0]), g.squeeze(own_cont, [0]))
        outputs.append(g.unsqueeze(state[0], [0]))
    return g.op("Concat", *outputs, axis=0), state


@converts(ContinuationIndicatorLayer)
def continuation_indicator(g: LayerGraph, layer: ContinuationIndicatorLayer) -> str:
    """A constant, or one row of it by `Expand`."""
    steps, sequences = g.top_shapes[0]
    column = [[0.0]] + [[1.0]] * (int(steps) - 1)
    if isinstance(sequences, int):
        return g.weight(np.repeat(column, sequences, axis=1), "cont")
    axis = layer.param.axis % len(g.bottom_shapes[0])
    size = g.op("Gather", g.op("Shape", g.x), g.ints([axis]))
    return g.op("Expand", g.floats(column), g.op("Concat", g.ints([int(steps)]), size, axis=0))

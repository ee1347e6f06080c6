"""CTCGreedyDecoder: the symbols that rows of scores say."""

from __future__ import annotations

from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts
from pycaffe_lite.layer.sequence.ctc_decoder import CTCGreedyDecoderLayer


@converts(CTCGreedyDecoderLayer)
def ctc_greedy_decoder(g: LayerGraph, layer: CTCGreedyDecoderLayer) -> list[str]:
    """`ArgMax`, comparisons, `CumSum` for the places of the symbols, and `ScatterElements`."""
    if layer.gives_share:
        raise g.refuse("it compares symbols with the right ones, for training only")
    if not all(isinstance(n, int) for n in (*g.bottom_shapes[0], *g.top_shapes[0])):
        raise g.refuse("its steps and sequences have to be fixed: give a batch size")
    T, N, C = layer.T, layer.N, layer.C
    scores = g.reshape(g.x, (T, N, C))
    best = g.op("ArgMax", scores, axis=2, keepdims=0)
    ends = g.op("Not", g.to_bool(g.reshape(g.bottoms[1], (T, N), g.bottom_shapes[1])))
    after_first = g.to_float(ends)
    if T > 1:
        first, rest = g.split(after_first, 0, [1, T - 1])
        after_first = g.op("Concat", g.scaled(first, 0.0), rest, axis=0)
    else:
        after_first = g.scaled(after_first, 0.0)
    ended = g.op("CumSum", after_first, g.ints(0))
    counts = g.op("Less", ended, g.floats(0.5))
    says = g.op("And", counts, g.op("Not", g.op("Equal", best, g.ints(layer.blank))))
    if layer.param.ctc_merge_repeated and T > 1:
        before = g.op("Concat", g.ints([[-1] * N]), g.slice(best, [0], [T - 1], [0]), axis=0)
        says = g.op("And", says, g.op("Not", g.op("Equal", best, before)))
    # Symbols that do not count go to a place behind the row, which is cut off.
    place = g.to_int(g.shifted(g.op("CumSum", g.to_float(says), g.ints(0)), -1.0))
    place = g.op("Where", says, place, g.ints(T))
    empty = g.floats([[-1.0] * N] * (T + 1))
    rows = g.op("ScatterElements", empty, place, g.to_float(best), axis=0)
    rows = g.op("Transpose", g.slice(rows, [0], [T], [0]), perm=[1, 0])
    tops = [g.reshape(rows, g.top_shapes[0], (N, T))]
    if layer.gives_scores:
        highest = g.op("Where", counts, g.reduce("Max", scores, [2]), g.floats(0.0))
        total = g.op("Neg", g.reduce("Sum", highest, [0]))
        tops.append(g.reshape(total, g.top_shapes[1], (N,)))
    return tops

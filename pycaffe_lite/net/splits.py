"""Split layers, which give each reader of a blob a copy of its own so that gradients add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pycaffe_lite.net.state import PlacedLayer
from pycaffe_lite.proto import caffe_pb2

Top = tuple[int, int]  # layer index, index among its tops


def insert_splits(layers: Sequence[PlacedLayer]) -> list[PlacedLayer]:
    """Puts a Split layer behind each top that more than one reader uses.

    A bottom reads the latest top of its name before it, so an in-place layer starts a new version of its
    blob. A loss_weight other than 0 counts as a reader: the split's first top then carries the loss. Names
    are Caffe's: the layer is `<blob>_<layer>_<top index>_split`, and its tops are `<that>_0`, `<that>_1`, ...
    in the order of the readers. A bottom that no layer makes is left for the graph builder to report.

    Source: BVLC/caffe src/caffe/util/insert_splits.cpp
    """
    readers, makers = _count_readers(layers)
    next_copy: Counter[Top] = Counter()
    out: list[PlacedLayer] = []
    for i, (original, where) in enumerate(layers):
        param = caffe_pb2.LayerParameter()
        param.CopyFrom(original)
        for j, blob in enumerate(param.bottom):
            top = makers.get((i, j))
            if top is not None and readers[top] > 1:
                param.bottom[j] = _copy_name(layers[top[0]].param.name, blob, top[1], next_copy[top])
                next_copy[top] += 1
        out.append(PlacedLayer(param, where))
        weights = list(param.loss_weight)
        for j, blob in enumerate(param.top):
            top = (i, j)
            if readers[top] > 1:
                weight = weights[j] if j < len(weights) else 0.0
                if weight:
                    del param.loss_weight[:]
                    next_copy[top] += 1
                out.append(PlacedLayer(_split_layer(param.name, blob, j, readers[top], weight), where))
    return out


def _count_readers(layers: Sequence[PlacedLayer]) -> tuple[Counter[Top], dict[tuple[int, int], Top]]:
    """How many readers each top has, and which top each (layer, bottom index) reads."""
    latest: dict[str, Top] = {}
    readers: Counter[Top] = Counter()
    makers: dict[tuple[int, int], Top] = {}
    for i, (param, _) in enumerate(layers):
        for j, blob in enumerate(param.bottom):
            if blob in latest:
                makers[i, j] = latest[blob]
                readers[latest[blob]] += 1
        for j, blob in enumerate(param.top):
            latest[blob] = (i, j)
        for j in range(min(len(param.loss_weight), len(param.top))):
            if param.loss_weight[j]:
                readers[i, j] += 1
    return readers, makers


def is_inserted_split(param: caffe_pb2.LayerParameter) -> bool:
    """Whether a layer is a Split of the form that `insert_splits` makes."""
    tops = [f"{param.name}_{copy}" for copy in range(len(param.top))]
    return param.type == "Split" and param.name.endswith("_split") and list(param.top) == tops


def _split_name(layer: str, blob: str, index: int) -> str:
    return f"{blob}_{layer}_{index}_split"


def _copy_name(layer: str, blob: str, index: int, copy: int) -> str:
    return f"{_split_name(layer, blob, index)}_{copy}"


def _split_layer(layer: str, blob: str, index: int, count: int, weight: float) -> caffe_pb2.LayerParameter:
    split = caffe_pb2.LayerParameter(name=_split_name(layer, blob, index), type="Split", bottom=[blob])
    split.top.extend(_copy_name(layer, blob, index, copy) for copy in range(count))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (count - 1))
    return split


def remove_splits(net: caffe_pb2.NetParameter) -> None:
    """Takes the layers out of a net that `insert_splits` has put in: readers read the blob itself again."""
    originals: dict[str, str] = {}
    makers: dict[str, tuple[caffe_pb2.LayerParameter, int]] = {}
    kept: list[caffe_pb2.LayerParameter] = []
    for layer in net.layer:
        for j, bottom in enumerate(layer.bottom):
            layer.bottom[j] = originals.get(bottom, bottom)
        blob = layer.bottom[0] if layer.bottom else ""
        maker, index = makers.get(blob, (layer, 0))
        if layer.type == "Split" and layer.name == _split_name(maker.name, blob, index):
            originals.update(dict.fromkeys(layer.top, blob))
            if layer.loss_weight and layer.loss_weight[0]:
                missing = len(maker.top) - len(maker.loss_weight)
                maker.loss_weight.extend([0.0] * missing)
                maker.loss_weight[index] = layer.loss_weight[0]
            continue
        makers.update({top: (layer, j) for j, top in enumerate(layer.top)})
        kept.append(layer)
    copies = [caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) for layer in kept]
    del net.layer[:]
    net.layer.extend(copies)

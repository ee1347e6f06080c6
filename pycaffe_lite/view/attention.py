"""What a net looks at: activations of its layers, and the part of a picture that a class's score hangs on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.net.net import Net, StrPath
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.view.numbers import as_shape
from pycaffe_lite.view.tiles import MOST_TILES, Section, activation_picture

Map = npt.NDArray[np.float64]
Items = npt.NDArray[np.float32]

# Of the picture's shorter side, the side of the square that occlusion covers; it moves by half of it.
COVERED_SHARE = 1 / 8
BATCH = 16


def activations(net: Net, item: Items) -> list[Section]:
    """Pictures of what each blob holds once an item went through the net.

    Args:
        net: with one input. item: (C, H, W), as the net takes it.

    Returns:
        A section for each blob, in the order of the net; one that layers work on in place is shown as the
        last of them leaves it.
    """
    run(net, item[np.newaxis])
    copies = {name for layer in net.layers if layer.type == "Split" for name in net.top_names[layer.name]}
    sections = []
    for name, blob in net.blobs.items():
        if name in copies or not blob.count:
            continue
        values = blob.data[0] if len(blob.shape) > 1 else blob.data
        note = f", the first {MOST_TILES}" if values.ndim == 3 and values.shape[0] > MOST_TILES else ""
        picture = activation_picture(values)
        sections.append(Section(f"{name} {as_shape(values.shape)}{note}", picture))
    return sections


def saliency(net_file: StrPath, weights: StrPath, item: Items, label: int) -> Map:
    """How much the score of a class changes with each pixel: the size of its gradient, at most over channels.

    The score is that before a Softmax at the end of the net, which would hide what it saturates.

    Args:
        net_file, weights: of the net. item: (C, H, W). label: the class.

    Returns:
        (H, W), values of 0 and above.

    Raises:
        ArgumentError: the net computes no gradient of its input.
    """
    message = read_net(net_file).message
    message.force_backward = True
    _drop_softmax(message)
    net = Net.from_proto(message, caffe_pb2.TEST, weights=weights)
    run(net, item[np.newaxis])
    name = net.inputs[0]
    diffs = {output: np.zeros(net.blobs[output].shape, np.float32) for output in net.outputs}
    diffs[net.outputs[0]][0, label] = 1
    for output, diff in diffs.items():
        net.blobs[output].diff[...] = diff
    net.backward()
    gradient: Map = np.abs(net.blobs[name].diff[0]).max(axis=0).astype(np.float64)
    if not gradient.any():
        raise ArgumentError(f"the score of class {label} has no gradient with respect to '{name}' here")
    return gradient


def _drop_softmax(message: caffe_pb2.NetParameter) -> None:
    """Takes away Softmax layers whose tops no layer reads."""
    read = {(bottom, i) for i, layer in enumerate(message.layer) for bottom in layer.bottom}
    for i in reversed(range(len(message.layer))):
        layer = message.layer[i]
        is_last = not any(bottom in layer.top and k > i for bottom, k in read)
        if layer.type == "Softmax" and is_last:
            del message.layer[i]


def occlusion(
    net: Net, item: Items, label: int, on_batch: Callable[[int], object] = lambda count: None
) -> Map:
    """How much the score of a class falls when a square of the picture is covered by its mean colour.

    Args:
        net: whose first output is the scores. item: (C, H, W). label: the class.
        on_batch: is told how many positions are done, after each batch.

    Returns:
        (H, W): for each pixel, the mean fall over the squares that cover it; below 0 where the score rises.
    """
    _, height, width = item.shape
    side = max(1, round(min(height, width) * COVERED_SHARE))
    corners = [(y, x) for y in steps(height, side) for x in steps(width, side)]
    score = float(scores(net, item[np.newaxis])[0, label])
    colour = item.mean(axis=(1, 2), keepdims=True)
    falls, covers = np.zeros((height, width)), np.zeros((height, width))
    for start in range(0, len(corners), BATCH):
        part = corners[start : start + BATCH]
        covered = np.repeat(item[np.newaxis], len(part), axis=0)
        for copy, (y, x) in zip(covered, part, strict=True):
            copy[:, y : y + side, x : x + side] = colour
        for (y, x), value in zip(part, scores(net, covered)[:, label], strict=True):
            falls[y : y + side, x : x + side] += score - float(value)
            covers[y : y + side, x : x + side] += 1
        on_batch(len(part))
    return falls / covers


def steps(size: int, side: int) -> list[int]:
    """Where squares of a side begin along an axis: at every half of it, and the last at the end."""
    starts = list(range(0, size - side, max(1, side // 2)))
    return [*starts, size - side]


def positions(height: int, width: int) -> int:
    """How many squares occlusion covers on a picture."""
    side = max(1, round(min(height, width) * COVERED_SHARE))
    return len(steps(height, side)) * len(steps(width, side))


def run(net: Net, items: Items) -> None:
    """Shapes the net's first input to the items, (N, C, H, W), and runs the net on them."""
    blob = net.blobs[net.inputs[0]]
    blob.reshape(items.shape)
    blob.data[...] = items
    net.forward()


def scores(net: Net, items: Items) -> npt.NDArray[np.float32]:
    """The scores of each class for items, (N, classes); where the net gives them for places, their mean.

    The scores are the net's first output in alphabetical order, as for `Classifier`.
    """
    run(net, items)
    output = net.blobs[net.outputs[0]].data
    return np.array(output.reshape(len(items), output.shape[1] if output.ndim > 1 else 1, -1).mean(axis=2))

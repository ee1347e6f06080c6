"""Running a net over more items than fit in one batch; pycaffe's forward_all and its kin."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from pycaffe_lite.net.net import Net

Items = Mapping[str, npt.NDArray[Any]]


def batches(net: Net, items: Items) -> Iterator[dict[str, Any]]:
    """Cuts arrays into pieces of the net's batch size, which is the first axis of its first blob.

    Args:
        net: to run them. items: arrays by name, all with the items along their first axis.

    Yields:
        As many items of each as the net takes; where fewer are left, zeros stand for the missing ones, and
        the arrays are float64.

    Raises:
        ArgumentError: there is no array, or they are of different lengths.
    """
    total, size = _length(items), _batch_size(net)
    for start in range(0, total, size):
        part = {name: values[start : start + size] for name, values in items.items()}
        if missing := start + size - total if start + size > total else 0:
            part = {
                name: np.concatenate([values, np.zeros((missing, *values.shape[1:]))])
                for name, values in part.items()
            }
        yield part


def forward_all(net: Net, blobs: Sequence[str], inputs: Items) -> dict[str, Array]:
    """The outputs for all items; see `Net.forward_all`."""
    outs = _Collected(net, [*net.outputs, *blobs])
    for batch in batches(net, inputs):
        outs.add(net.forward(blobs, **batch))
    return outs.first(_length(inputs))


def forward_backward_all(
    net: Net, blobs: Sequence[str], diffs: Sequence[str], arrays: Items
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs and gradients for all items; see `Net.forward_backward_all`."""
    if unknown := [name for name in arrays if name not in (*net.inputs, *net.outputs)]:
        known = ", ".join([*net.inputs, *net.outputs]) or "none"
        raise ArgumentError(
            f"'{unknown[0]}' is neither an input nor an output of the net (these are: {known})"
        )
    outs, gradients = _Collected(net, [*net.outputs, *blobs]), _Collected(net, [*net.inputs, *diffs])
    pairs: Iterable[tuple[dict[str, Any], dict[str, Any]]] = itertools.zip_longest(
        _batches_of(net, arrays, net.inputs), _batches_of(net, arrays, net.outputs), fillvalue={}
    )
    for inputs, output_diffs in pairs:
        outs.add(net.forward(blobs=blobs, **inputs))
        gradients.add(net.backward(diffs=diffs, **output_diffs))
    length = _length(arrays)
    return outs.first(length), gradients.first(length)


def _batches_of(net: Net, arrays: Items, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The batches of those arrays that have one of these names; none where there is no such array."""
    chosen = {name: arrays[name] for name in names if name in arrays}
    return batches(net, chosen) if chosen else iter(())


def _length(items: Items) -> int:
    if not items:
        raise ArgumentError("there is nothing to run the net on: give an array by the name of an input")
    lengths = {name: len(values) for name, values in items.items()}
    first = next(iter(lengths.values()))
    if any(length != first for length in lengths.values()):
        shown = ", ".join(f"{length} of '{name}'" for name, length in lengths.items())
        raise ArgumentError(f"all arrays need as many items, got {shown}")
    return first


def _batch_size(net: Net) -> int:
    name, blob = next(iter(net.blobs.items()))
    if not blob.shape or not blob.shape[0]:
        raise ArgumentError(
            f"the net's first blob, '{name}', has no items along its first axis: {blob.shape}"
        )
    return blob.shape[0]


class _Collected:
    """What comes out of batch after batch, by name."""

    def __init__(self, net: Net, names: Iterable[str]) -> None:
        self._size = _batch_size(net)
        self._parts: dict[str, list[Array]] = {name: [] for name in names}

    def add(self, batch: Mapping[str, Array]) -> None:
        """Keeps copies of a batch's arrays."""
        for name, parts in self._parts.items():
            if batch[name].ndim == 0:
                raise ArgumentTypeError(
                    f"blob '{name}' is a single number, not one for each item of the batch"
                )
            parts.append(batch[name].copy())

    def first(self, length: int) -> dict[str, Array]:
        """All of it without what belongs to items behind the first `length`."""
        whole = {name: np.concatenate(parts) for name, parts in self._parts.items() if parts}
        padding = -length % self._size
        for name, values in whole.items():
            shape = self._parts[name][-1].shape
            if padding and shape[0] != self._size:
                raise ArgumentTypeError(
                    f"blob '{name}' has shape {shape}, without the {self._size} items of the batch along its "
                    f"first axis: give a multiple of {self._size} items"
                )
            whole[name] = values[: len(values) - padding]
        return whole

"""Ranks: what a solver knows of others that train the same net on other records.

The protocols say all that a solver asks for: to average gradients, and to agree on what must be the same
everywhere. How that is done is the business of whoever makes the ranks (`distributed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array
from pycaffe_lite.data.share import Share
from pycaffe_lite.errors import SolverError
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, text_of
from pycaffe_lite.solver.action import Action

T = TypeVar("T")

_LONGEST_LINE = 60  # characters of a line of a prototxt in an error


class Step(NamedTuple):
    """What all ranks know of an iteration.

    Attributes:
        loss: the mean of the ranks' losses. action: what to do after the update, on all ranks.
    """

    loss: float
    action: Action


class Reduction(Protocol):
    """Averages the gradients of a net over all ranks, while backward still computes."""

    @property
    def seconds_waited(self) -> float:
        """For how long `finish` has waited, in all."""

    def forward_backward(self) -> float:
        """Runs the net forward and backward, and sends gradients as soon as they are complete.

        Returns the net's own loss. The gradients hold the sums of this rank until `finish`.
        """

    def finish(self, loss: float, action: Action, *, patient: bool = False) -> Step:
        """Waits until the gradients are the mean over all ranks.

        Args:
            loss: of this rank. action: that this rank has been asked for.
            patient: another rank may have much else to do first.

        Raises:
            SolverError: the others send nothing.
        """


class Ranks(Protocol):
    """This process and the others of a training, numbered from 0; all call the same methods in one order.

    Attributes:
        rank: the number of this one. count: how many there are.
        share: which records this one takes.
    """

    rank: int
    count: int
    share: Share

    def name(self, rank: int) -> str:
        """A rank, for messages: `rank 2 on host 'b'`."""

    def gather(self, value: T) -> list[T]:
        """Each rank's value, in the order of the ranks, on all of them."""

    def agree(self, value: T) -> T:
        """The value of rank 0, on all ranks."""

    def broadcast(self, arrays: Sequence[Array]) -> None:
        """Overwrites arrays with those of rank 0."""

    def first_of_host_first(self) -> AbstractContextManager[None]:
        """Lets one rank of each host run a block before the others of that host run it.

        It compiles kernels, if there are new ones, which the others then find.
        """

    def reduction(self, net: Net) -> Reduction:
        """What averages the net's gradients."""


def build_alike(
    ranks: Ranks,
    param: caffe_pb2.SolverParameter,
    document: Document[caffe_pb2.NetParameter],
    dtype: npt.DTypeLike,
    split_batch: bool,
) -> Net:
    """Builds the train net of this rank, once all ranks are known to build the same one.

    Args:
        ranks: the ranks. param: the solver's settings. document: the net's prototxt. dtype: of the net.
        split_batch: whether the ranks share the batch that the prototxt gives.

    Raises:
        SolverError: the ranks differ, the batch cannot be split, or a setting is not for several ranks.
    """
    import pycaffe_lite  # not before: the package imports this module

    if param.lr_dropout != 1 and ranks.count > 1:
        raise SolverError("lr_dropout is not for several ranks: each would drop other updates")
    if split_batch:
        split_batches(document, ranks.count)
    check_agreement(
        ranks,
        {
            "the version of pycaffe-lite": pycaffe_lite.__version__,
            "the type of values": str(np.dtype(dtype)),
            "the solver's settings": text_of(param),
            "the train net": text_of(document.message),
        },
    )
    net = Net.from_document(document, dtype=dtype, share=ranks.share)
    for layer in net.layers:
        if ranks.count > 1 and layer.reads_in_order and not layer.takes_share:
            raise SolverError(
                f"{layer.where()} cannot train on several ranks: each would read the same records"
            )
    check_agreement(ranks, facts_of_net(net))
    return net


def check_agreement(ranks: Ranks, facts: Mapping[str, str]) -> None:
    """Makes sure that all ranks are about to do the same.

    Args:
        ranks: the ranks. facts: by their names, texts that have to be equal; "the net's prototxt".

    Raises:
        SolverError: they are not, on all ranks; it names the first rank that differs, and where.
    """
    everybody = ranks.gather(dict(facts))
    for rank, theirs in enumerate(everybody):
        for name, wanted in everybody[0].items():
            if theirs.get(name) != wanted:
                difference = _difference(theirs.get(name, ""), wanted)
                raise SolverError(
                    f"the ranks differ in {name}: {ranks.name(rank)} has {difference[0]}, "
                    f"{ranks.name(0)} has {difference[1]}"
                )


def _difference(one: str, other: str) -> tuple[str, str]:
    """The first lines in which two texts differ."""
    lines, others = one.splitlines(), other.splitlines()
    at = next((i for i, pair in enumerate(zip(lines, others, strict=False)) if len(set(pair)) > 1), None)
    if at is None:
        at = min(len(lines), len(others))
    found = [
        f"'{text[at].strip()[:_LONGEST_LINE]}'" if at < len(text) else "no more" for text in (lines, others)
    ]
    where = f" in line {at + 1}" if len(lines) > 1 or len(others) > 1 else ""
    return found[0] + where, found[1]


def facts_of_net(net: Net) -> dict[str, str]:
    """What ranks must have in common once their nets are built: sizes of sources, shapes of weights."""
    sizes = [f"layer '{layer.name}': {size}" for layer in net.layers if (size := layer.source_size())]
    shapes = [f"{name}: {[blob.shape for blob in blobs]}" for name, blobs in net.params.items()]
    return {"what they read": "\n".join(sizes), "the shapes of the weights": "\n".join(shapes)}


def check_weights(ranks: Ranks, net: Net) -> None:
    """Makes sure that the ranks' weights, which all should have updated alike, are still the same.

    Raises:
        SolverError: they are not: the ranks' processors compute differently, say, or a program has changed
            the weights of one rank.
    """
    trained = [b for b, rate in zip(net.learnable_params, net.params_lr, strict=True) if rate]
    marks = [float(np.add.reduce(blob.data.ravel()[:: max(1, blob.count // 4096)])) for blob in trained]
    everybody = np.array(ranks.gather(marks))
    for rank, theirs in enumerate(everybody):
        if theirs.tobytes() != everybody[0].tobytes():
            raise SolverError(
                f"the weights of {ranks.name(rank)} are no longer those of {ranks.name(0)}: train on "
                "processors of one kind, and change weights on all ranks or on none"
            )


def seed_of(ranks: Ranks | None, seed: int) -> int:
    """The random seed of this rank, from that of the settings. Source: BVLC/caffe src/caffe/solver.cpp."""
    return (seed + (ranks.rank if ranks else 0)) & 0xFFFF_FFFF


def split_batches(document: Document[caffe_pb2.NetParameter], count: int) -> None:
    """Divides each batch_size of a train net's data layers by a number of ranks.

    Raises:
        SolverError: one of them cannot be divided.
    """
    net = document.message
    placed = [PlacedLayer(layer, document.where(("layer", i))) for i, layer in enumerate(net.layer)]
    for layer, where in filter_layers(placed, net.state):
        for field, part in layer.ListFields():
            size = getattr(part, "batch_size", 0) if field.message_type and not field.is_repeated else 0
            if size % count:
                raise SolverError(
                    f"{where}layer '{layer.name}': batch_size {size} cannot be split over {count} ranks: "
                    "make it a multiple, or let each rank have it whole"
                )
            if size:
                part.batch_size = size // count

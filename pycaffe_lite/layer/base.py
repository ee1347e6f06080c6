"""Layer: the base class of all layer types, with the four verbs that each of them is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite import fillers
from pycaffe_lite.blob import Blob, BlobVec
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.formats.blobproto import array_of
from pycaffe_lite.printable import printable
from pycaffe_lite.proto import caffe_pb2

Blobs = Sequence[Blob]
P = TypeVar("P")


@dataclass(frozen=True)
class LayerContext:
    """What a layer knows of the net around it.

    Attributes:
        dtype: the type of all its blobs: float32, or float64 for gradient checks.
        folder: the folder of the prototxt; files that a layer names are also looked for there and in the
            folders above.
        where: the layer's place in its prototxt, `net.prototxt:12: `, for errors; empty if it is unknown.
        share: which records a data layer takes: all, unless the net trains together with others.
    """

    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))
    folder: Path | None = None
    where: str = ""
    share: Share = WHOLE


class Layer(Generic[P]):
    """One step of a net: it computes tops from bottoms, and bottom gradients from top gradients.

    A layer type describes itself in class attributes and overrides four verbs: `setup`, which runs once;
    `reshape`, which runs whenever a bottom may have changed its shape; `forward`; and `backward`. A backward
    pass overwrites the gradients of bottoms and adds to those of learnable blobs, which the solver clears
    once an iteration.

    Attributes:
        name, type: as in the prototxt.
        layer_param: the layer's whole message. param: the type's own part of it, say `convolution_param`.
        phase: caffe_pb2.TRAIN or caffe_pb2.TEST.
        blobs: the learnable blobs, in Caffe's order. buffers: what the layer keeps between its verbs.
        param_propagate_down: for each learnable blob, whether its gradient is wanted.
        loss_weights: for each top, its weight in the loss; 0 if it is not part of the loss.
        need_backward: whether a backward pass may come; if not, forward need keep nothing for it.

    Source: BVLC/caffe include/caffe/layer.hpp
    """

    # How many bottoms and tops the type takes; None means that there is no such bound.
    exact_bottoms: ClassVar[int | None] = None
    min_bottoms: ClassVar[int | None] = None
    max_bottoms: ClassVar[int | None] = None
    exact_tops: ClassVar[int | None] = None
    min_tops: ClassVar[int | None] = None
    max_tops: ClassVar[int | None] = None
    equal_bottoms_tops: ClassVar[bool] = False
    # Further fields of LayerParameter that the type reads besides its own, `loss_param` for example.
    also_reads: ClassVar[tuple[str, ...]] = ()
    # Those among `also_reads` that the type accepts, as Caffe does, but that change no result.
    reads_without_effect: ClassVar[tuple[str, ...]] = ()
    # A loss layer has the default weight 1. With `auto_tops`, the net adds tops that the prototxt leaves out.
    is_loss: ClassVar[bool] = False
    auto_tops: ClassVar[bool] = False
    # Whether its tops are the net's inputs, whose data the caller writes.
    is_input: ClassVar[bool] = False
    # Whether the tops hold the bottoms' values, or parts of them, as they are: labels stay labels.
    passes_values_on: ClassVar[bool] = False
    # Indices of learnable blobs by which values are divided: the neutral value of these is 1, not 0.
    divisor_blobs: ClassVar[tuple[int, ...]] = ()
    # Whether learnable blobs take stored values of any shape, as long as there are as many.
    takes_blobs_of_any_shape: ClassVar[bool] = False
    # Whether the layer can do the scale and the shift of a batch normalization before it.
    completes_batch_norm: ClassVar[bool] = False

    def __init__(self, layer_param: caffe_pb2.LayerParameter, param: P, context: LayerContext) -> None:
        self.layer_param = layer_param
        self.param = param
        self.context = context
        self.name: str = layer_param.name
        self.type: str = layer_param.type
        self.phase: int = layer_param.phase
        self.dtype = context.dtype
        self.blobs = BlobVec()
        self.buffers: list[Blob] = []
        self.param_propagate_down: list[bool] = []
        self.loss_weights: list[float] = []
        self.need_backward = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{printable(self.name)}'>"

    # -------------------------------------------------------- the four verbs

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        """Checks the parameters and makes the learnable blobs; runs once, before the first reshape."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Shapes the tops and the buffers to fit the bottoms; runs before every forward."""
        raise NotImplementedError

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Computes the tops' data from the bottoms' data."""
        raise NotImplementedError

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes gradients from the tops' diff: overwrites the wanted bottoms' diff, adds to the blobs'."""
        raise NotImplementedError

    # ------------------------------------------- what some types say otherwise

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Whether `force_backward` may ask for the gradient of this bottom."""
        return not self.is_loss or bottom_index != 1

    def allow_top_gradient(self, top_index: int) -> bool:
        """Whether `backward` reads the diff of this top; it does not if the top only reports something."""
        return not self.is_loss or top_index == 0

    def state(self) -> bytes | None:
        """What the layer needs, besides its blobs, to go on exactly from here; None if it needs nothing."""
        return None

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, as far as that fits the layer as it is now.

        Returns:
            What starts afresh instead, in words to follow "layer 'x' (Type): "; empty if nothing does.
        """
        return "it keeps no state: the one saved is not used"

    # Whether the layer may run on a share of the records of its source (`LayerContext.share`).
    takes_share: ClassVar[bool] = False
    # Whether it reads the records of a source in an order, so that several nets without shares read the same.
    reads_in_order: ClassVar[bool] = False

    def join(self, state: bytes, rank: int) -> str:
        """Goes on `rank` shares behind where a layer of share 0 was, whose `state()` this is.

        The layer's random streams stay as they are.

        Returns:
            What starts afresh, in words to follow "layer 'x' (Type): "; empty if nothing does.
        """
        return "it starts afresh"

    def source_size(self) -> str:
        """What its source holds, in words, so that several nets can compare theirs; empty if it has none."""
        return ""

    # ------------------------------------------------------- for the types' use

    def add_blob(self, shape: Sequence[int], filler: caffe_pb2.FillerParameter | None = None) -> Blob:
        """Makes the next learnable blob and fills it by `filler`, or with zeros if that is None.

        If the layer's message has blobs, the next one of these gives the values instead, and nothing is
        drawn.

        Raises:
            LayerError: the message's blob has another shape, or the message has too few blobs.
        """
        blob = Blob(shape, self.dtype)
        given = self.layer_param.blobs
        if given:
            index = len(self.blobs)
            if index >= len(given):
                raise self.error(f"has {len(given)} blobs in its prototxt, needs at least {index + 1}")
            values = array_of(given[index])
            is_fit = self.takes_blobs_of_any_shape and values.size == blob.count
            if values.shape != blob.shape and not is_fit:
                raise self.error(
                    f"needs shape {blob.shape} for blob {index}, got {values.shape} in its prototxt"
                )
            blob.data[...] = values.reshape(blob.shape)
        elif filler is not None:
            try:
                fillers.fill(blob, filler)
            except NetError as error:
                raise self.error(str(error)) from None
        self.blobs.append(blob)
        return blob

    def add_buffer(self, dtype: npt.DTypeLike | None = None) -> Blob:
        """Makes a blob for values that forward keeps for backward; reshape gives it its shape.

        The net knows this memory and notices when it changes. An array that only one verb uses need not be
        a buffer.

        Args:
            dtype: the type of its values; None for the net's.
        """
        blob = Blob(dtype=self.dtype if dtype is None else dtype)
        self.buffers.append(blob)
        return blob

    def where(self) -> str:
        """The layer's place, name and type, for errors: `net.prototxt:12: layer 'ip1' (InnerProduct)`."""
        return f"{self.context.where}layer '{self.name}' ({self.type})"

    def error(self, message: str) -> LayerError:
        """An error of this layer: `net.prototxt:12: layer 'ip1' (InnerProduct): message`."""
        return LayerError(f"{self.where()}: {message}")

    # -------------------------------------------------------- for the net's use

    def set_up(self, bottom: Blobs, top: Blobs) -> None:
        """Checks the numbers of bottoms and tops, sets up, shapes the tops and writes the loss weights."""
        self._check_counts(len(bottom), len(top))
        try:
            self.setup(bottom, top)
            self.reshape(bottom, top)
        except LayerError:
            raise
        except NetError as error:
            raise self.error(str(error)) from None
        self._set_loss_weights(top)

    def _check_counts(self, bottoms: int, tops: int) -> None:
        for kind, got, exact, low, high in (
            ("bottom", bottoms, self.exact_bottoms, self.min_bottoms, self.max_bottoms),
            ("top", tops, self.exact_tops, self.min_tops, self.max_tops),
        ):
            for bad, bound, count in (
                (exact is not None and got != exact, "exactly", exact),
                (low is not None and got < low, "at least", low),
                (high is not None and got > high, "at most", high),
            ):
                if bad:
                    raise self.error(f"takes {bound} {count} {kind}{'' if count == 1 else 's'}, got {got}")
        if self.equal_bottoms_tops and bottoms != tops:
            raise self.error(f"takes as many tops as bottoms, got {bottoms} bottoms and {tops} tops")

    def _set_loss_weights(self, top: Blobs) -> None:
        """Fills the diff of each weighted top with its weight, from which the backward pass starts."""
        if self.is_loss and not self.layer_param.loss_weight:
            # Caffe writes [1] here and then refuses a loss with two tops; here the first top counts.
            self.layer_param.loss_weight.extend([1.0] + [0.0] * (len(top) - 1))
        weights = list(self.layer_param.loss_weight)
        if weights and len(weights) != len(top):
            raise self.error(
                f"needs no loss_weight or one for each of its {len(top)} tops, got {len(weights)}"
            )
        self.loss_weights = weights or [0.0] * len(top)
        for blob, weight in zip(top, self.loss_weights, strict=True):
            if weight:
                blob.diff.fill(weight)

    def loss(self, top: Blobs) -> float:
        """The layer's share of the loss: the sum of data times weight over its weighted tops.

        Products and sums are computed in float64.
        """
        total = 0.0
        for blob, weight in zip(top, self.loss_weights, strict=True):
            if weight and blob.count == 1:
                total += blob.data.item() * blob.diff.item()
            elif weight:
                values, weights = blob.data.ravel(), blob.diff.ravel()
                total += float(np.einsum("i,i->", values, weights, dtype=np.float64))
        return total

"""Layer: the four verbs that every layer is made of, and what the net asks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite import fillers
from pycaffe_lite.blob import Blob, BlobVec
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.formats.blobproto import array_of
from pycaffe_lite.kernels.convolution import Epilogue
from pycaffe_lite.printable import printable
from pycaffe_lite.proto import caffe_pb2

Blobs = Sequence[Blob]
P = TypeVar("P")
Verb = TypeVar("Verb", bound=Callable[..., object])


def by_kernels(verb: Verb) -> Verb:
    """Says of a layer's verb that it only starts kernels.

    The verbs: forward, forward_with_epilogue, epilogue_before, backward, backward_with_slope. All that they
    do with values of blobs, learnable ones too, is done by worker kernels: these can be run again without it
    (net/passes.py). Besides, both passes may end with what `check_bottoms` does, and backward ones may do
    what `ready_diffs` does. What overrides such a method has to say so itself.
    """
    verb.by_kernels = True  # type: ignore[attr-defined]
    return verb


@dataclass(frozen=True)
class LayerContext:
    """What a layer knows of the net around it.

    Attributes:
        dtype: of all its blobs: float32, or float64 for gradient checks.
        folder: of the prototxt; files that a layer names are also looked for there and in its parents.
        where: the layer's place in its prototxt, `net.prototxt:12: `, for errors; empty where unknown.
    """

    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.float32))
    folder: Path | None = None
    where: str = ""


class Layer(Generic[P]):
    """One step of a net: computes tops from bottoms, and bottom gradients from top gradients.

    A layer type says what it takes in class attributes and overrides four verbs: `setup`, once; `reshape`,
    whenever a bottom may have changed its shape; `forward`; `backward`. Gradients of bottoms are
    overwritten, gradients of learnable blobs are added to: the solver clears them once an iteration.

    Attributes:
        name, type: as in the prototxt.
        layer_param: the layer's whole message. param: its own part, say `convolution_param`.
        phase: caffe_pb2.TRAIN or caffe_pb2.TEST.
        blobs: the learnable blobs, in Caffe's order. buffers: what the layer keeps between its verbs.
        param_propagate_down: per learnable blob, whether its gradient is wanted.
        loss_weights: per top, its weight in the loss; 0 where it is no part of it.
        need_backward: whether a backward pass may come; without one, forward need keep nothing for it.

    Source: BVLC/caffe include/caffe/layer.hpp
    """

    # How many bottoms and tops the type takes; None: no such bound.
    exact_bottoms: ClassVar[int | None] = None
    min_bottoms: ClassVar[int | None] = None
    max_bottoms: ClassVar[int | None] = None
    exact_tops: ClassVar[int | None] = None
    min_tops: ClassVar[int | None] = None
    max_tops: ClassVar[int | None] = None
    equal_bottoms_tops: ClassVar[bool] = False
    # Fields of LayerParameter with parameters that the type reads besides its own: `loss_param`.
    also_reads: ClassVar[tuple[str, ...]] = ()
    # A loss layer has default weight 1, and gets a top of its own where the prototxt names none.
    is_loss: ClassVar[bool] = False
    auto_tops: ClassVar[bool] = False
    # Whether reshape does nothing new while no blob has changed its shape or its memory: it is left out then.
    # Not so where it reads values or runs a user's code.
    reshape_follows_shapes: ClassVar[bool] = False
    # Whether forward writes all of its tops, in memory that is theirs alone: it may lie elsewhere then.
    fills_tops: ClassVar[bool] = False
    # Whether backward asks all learnable blobs for `diff_to_add` and overwrites those that are clear: nobody
    # writes zeros then.
    overwrites_clear_diffs: ClassVar[bool] = False
    # Fusion (net/fusion.py): whether `forward_with_epilogue` is there, or at least for epilogues that are no
    # more than a slope; whether the layer ends a run of fused layers, being no affine map; whether backward
    # needs nothing that only an own forward would keep.
    takes_epilogue: bool = False
    takes_slope: bool = False
    is_activation: ClassVar[bool] = False
    epilogue_serves_backward: ClassVar[bool] = False
    # Whether `backward_with_slope` is there, for an activation that works in place on the only bottom.
    takes_slope_behind: bool = False

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
        """Checks the parameters and makes the learnable blobs; once, before the first reshape."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Shapes the tops (and buffers) to the bottoms' shapes; before every forward."""
        raise NotImplementedError

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Computes the tops' data from the bottoms' data."""
        raise NotImplementedError

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Overwrites the wanted bottoms' diff, adds to the learnable blobs' diff, from the tops' diff."""
        raise NotImplementedError

    # ------------------------------------------- what some types say otherwise

    def ready_diffs(self) -> None:
        """Gets the learnable blobs' diffs ready, as backward does before it starts kernels.

        Those that are clear hold zeros then, or anything where backward overwrites them.
        """
        for blob, wanted in zip(self.blobs, self.param_propagate_down, strict=True):
            if wanted and self.overwrites_clear_diffs:
                blob.diff_to_add()
            elif wanted:
                blob.finish_clearing()

    @property
    def checks_bottoms(self) -> bool:
        """Whether `check_bottoms` does anything."""
        return type(self).check_bottoms is not Layer.check_bottoms

    def check_bottoms(self, bottom: Blobs) -> None:
        """Raises an error if the kernels of the last forward or backward have met values that cannot be."""

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Whether `force_backward` may ask for the gradient of this bottom."""
        return not self.is_loss or bottom_index != 1

    def allow_top_gradient(self, top_index: int) -> bool:
        """Whether the diff of this top counts in `backward`; not so for what is only reported."""
        return not self.is_loss or top_index == 0

    def state(self) -> bytes | None:
        """What the layer would need to go on exactly from here, beyond its blobs; None: nothing."""
        return None

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, as far as that fits the layer as it is now.

        Returns:
            What starts afresh instead, in words to follow "layer 'x' (Type): "; empty where nothing does.
        """
        return "it keeps no state: the one saved is not used"

    def is_by_kernels(self, verb: str) -> bool:
        """Whether a method is `by_kernels`; a type overrides this where that depends on its parameters."""
        return getattr(getattr(self, verb), "by_kernels", False)

    def forward_with_epilogue(self, bottom: Blobs, top: Blobs, epilogue: Epilogue) -> None:
        """As `forward`, with what `epilogue` says done to each value of the top before it is stored."""
        raise NotImplementedError

    def backward_with_slope(
        self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs, slope: float
    ) -> None:
        """As `backward`, with the bottom's diff times slope where its data is not positive."""
        raise NotImplementedError

    def can_be_epilogue(self, top: Blobs) -> bool:
        """Whether `epilogue_before` says all that forward does, for a layer in place on this top."""
        return False

    def epilogue_before(self, epilogue: Epilogue) -> Epilogue:
        """What forward does to each channel (axis 1) with its blobs as they are now, and then `epilogue`."""
        raise NotImplementedError

    # ------------------------------------------------------- for the types' use

    def add_blob(self, shape: Sequence[int], filler: caffe_pb2.FillerParameter | None = None) -> Blob:
        """Makes the next learnable blob, filled by `filler` (None: zeros).

        Where the layer's message brings blobs of its own, the next of these gives the values instead, and
        nothing is drawn.

        Raises:
            LayerError: the message's blob has another shape, or there is none left.
        """
        blob = Blob(shape, self.dtype)
        given = self.layer_param.blobs
        if given:
            index = len(self.blobs)
            if index >= len(given):
                raise self.error(f"has {len(given)} blobs in its prototxt, needs at least {index + 1}")
            values = array_of(given[index])
            if values.shape != blob.shape:
                raise self.error(
                    f"needs shape {blob.shape} for blob {index}, got {values.shape} in its prototxt"
                )
            blob.data[...] = values
        elif filler is not None:
            try:
                fillers.fill(blob, filler)
            except NetError as error:
                raise self.error(str(error)) from None
        self.blobs.append(blob)
        return blob

    def add_buffer(self, dtype: npt.DTypeLike | None = None) -> Blob:
        """Makes a blob for what forward keeps for backward; reshape shapes it. dtype: None, the net's.

        The net has to know such memory, see `net.passes`; arrays that no other verb reads need no buffer.
        """
        blob = Blob(dtype=self.dtype if dtype is None else dtype)
        self.buffers.append(blob)
        return blob

    def where(self) -> str:
        """The layer and its place, for errors: `net.prototxt:12: layer 'ip1' (InnerProduct)`."""
        return f"{self.context.where}layer '{self.name}' ({self.type})"

    def error(self, message: str) -> LayerError:
        """An error of this layer: `net.prototxt:12: layer 'ip1' (InnerProduct): message`."""
        return LayerError(f"{self.where()}: {message}")

    # -------------------------------------------------------- for the net's use

    def set_up(self, bottom: Blobs, top: Blobs) -> None:
        """Checks the counts, sets up, shapes the tops, and puts the loss weights in place."""
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
        """Each weighted top's diff holds its weight from the start: the seed of the backward pass."""
        if self.is_loss and not self.layer_param.loss_weight:
            # Caffe writes [1] here and then refuses a loss with two tops; ours counts its first top.
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
        """The layer's part of the loss: the sum over its weighted tops of data times weight.

        Products and sums are kept in float64.
        """
        total = 0.0
        for blob, weight in zip(top, self.loss_weights, strict=True):
            if weight and blob.count == 1:
                total += blob.data.item() * blob.diff.item()
            elif weight:
                values, weights = blob.data.ravel(), blob.diff.ravel()
                total += float(np.einsum("i,i->", values, weights, dtype=np.float64))
        return total

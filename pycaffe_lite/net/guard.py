"""A guard for replay: what layer types from outside this package say of their verbs is checked.

The package's own types are held to `@by_kernels` by tests. If a user's type says so of a verb that also
computes with NumPy, replay would go on giving the results of the values that were recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import NetError
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.graph import blobs_of
from pycaffe_lite.net.parts import Part
from pycaffe_lite.net.recordings import PlainReplay

log = logging.getLogger(__name__)

_OURS = __name__.partition(".")[0]
_VERBS = ("forward", "backward", "forward_with_epilogue", "backward_with_slope", "epilogue_before")

Arrays = list[npt.NDArray[Any] | None]


def is_from_outside(part: Part) -> bool:
    """Whether a layer of a part is of a type, or has a verb, that does not come from this package."""
    return any(_is_from_outside(node.layer) for node in part.nodes)


def _is_from_outside(layer: Layer[Any]) -> bool:
    verbs = (getattr(layer, verb, None) for verb in _VERBS)
    modules = [type(layer).__module__, *(verb.__module__ for verb in verbs if verb is not None)]
    return any(module.partition(".")[0] != _OURS for module in modules)


class Witness:
    """What the blobs of a part held before it was recorded.

    Args:
        part: about to be recorded.
    """

    def __init__(self, part: Part) -> None:
        self.blobs = blobs_of(part.nodes)
        self.arrays = _copies(self.blobs)


class GuardedReplay:
    """The recorded kernels of one part, whose replay is compared with plain runs of the part.

    A pass that compares runs the part twice from the same values, by replay and plainly. If the results
    differ in one bit, the plain ones stand, and the part is never replayed again. A pass compares if an array
    has changed since the recording that had not changed in a comparison before, so that no result can be
    that of old values; and besides every time that the number of replays has doubled, for what depends on
    other things.

    Args:
        replay: the part's kernels. part: what was recorded. witness: the values from before that.
    """

    def __init__(self, replay: PlainReplay, part: Part, witness: Witness) -> None:
        self.end = replay.end
        self._replay, self._part = replay, part
        self._blobs = witness.blobs
        self._unproven = dict(enumerate(witness.arrays))
        self._count = 0

    def run(self, loss: float) -> float:
        """Runs the part, by replay if that can be relied on; returns the loss with its share added."""
        if not self._part.is_replayable:  # another recording of it, for other shapes, has shown that
            return loss + self._part.run()
        now = _arrays(self._blobs) if self._unproven else []
        changed = [i for i, array in self._unproven.items() if not _are_same(array, now[i])]
        self._count += 1
        has_doubled = self._count & (self._count - 1) == 0
        if not changed and not has_doubled:
            return self._replay.run(loss)
        before = _copies(self._blobs)
        try:
            self._replay.run(0.0)
            replayed = _copies(self._blobs)
        except NetError:
            replayed = []
        _restore(self._blobs, before)
        loss += self._part.run()
        results = _arrays(self._blobs)
        if len(replayed) == len(results) and all(map(_are_same, replayed, results)):
            for i in changed:
                del self._unproven[i]
        else:
            self._part.is_replayable = False
            log.warning(
                "%s: @by_kernels says that kernels do all the work, but replaying them gave other results "
                "than calling the layer, so it is called in every pass from now on. Take the mark off the "
                "method that does more than start kernels",
                " and ".join(n.layer.where() for n in self._part.nodes if _is_from_outside(n.layer)),
            )
        return loss


def _arrays(blobs: Sequence[Blob]) -> Arrays:
    """Data and diff of some blobs, in turn; None for a diff that is clear."""
    return [array for blob in blobs for array in (blob.data, None if blob.diff_is_clear else blob.diff)]


def _copies(blobs: Sequence[Blob]) -> Arrays:
    return [None if array is None else array.copy() for array in _arrays(blobs)]


def _restore(blobs: Sequence[Blob], arrays: Arrays) -> None:
    for blob, data, diff in zip(blobs, arrays[::2], arrays[1::2], strict=True):
        blob.data[...] = data
        if diff is None:
            blob.clear_diff()
        else:
            blob.diff[...] = diff


def _are_same(one: npt.NDArray[Any] | None, other: npt.NDArray[Any] | None) -> bool:
    """Whether two arrays have the same bits."""
    if one is None or other is None:
        return one is other
    return one.tobytes() == other.tobytes()

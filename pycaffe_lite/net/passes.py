"""Passes through a net that is not watched: part by part, or by replaying what was recorded of the parts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import groupby, pairwise

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels import record
from pycaffe_lite.net.graph import blobs_of
from pycaffe_lite.net.guard import GuardedReplay, Witness, is_from_outside
from pycaffe_lite.net.parts import Part
from pycaffe_lite.net.recordings import PlainReplay, Recordings, Variant, Variants


class Segment:
    """Parts of a pass that can all be shaped before any of them runs: no shape depends on values.

    Args:
        parts: what to run, in order.
        recordings: the net's.
    """

    def __init__(self, parts: Sequence[Part], recordings: Recordings) -> None:
        self._parts = parts
        self._recordings = recordings
        self._blobs = blobs_of(node for part in parts for node in part.nodes)
        self._guarded = [is_from_outside(part) for part in parts]
        self._shaped = -1  # the net's changes when the layers were last shaped

    def run(self, key: Hashable, loss: float) -> float:
        """Runs all parts.

        Args:
            key: what recordings depend on besides shapes and memory.
            loss: of what ran before.

        Returns:
            The loss with these parts' shares added.
        """
        variants = self._shape()
        variant = variants.get(key)
        if variant is None:
            for part in self._parts:
                loss += part.run()
            if len(variants) == Recordings.MOST_VARIANTS:
                del variants[next(iter(variants))]  # the oldest
            variants[key] = {}
            return loss
        i = 0
        while i < len(self._parts):
            if i not in variant:
                i, loss = self._record_from(i, variant, loss)
            elif (replay := variant[i]) is not None:
                i, loss = replay.end, replay.run(loss)
            else:
                loss += self._parts[i].run()
                i += 1
        return loss

    def _shape(self) -> Variants:
        """Shapes the layers if any blob of the net has changed; returns what was recorded for the shapes."""
        changes = self._recordings.changes
        have_changed = self._shaped != changes.number
        if have_changed:
            for part in self._parts:
                part.reshape()
            self._shaped = changes.number
        self._recordings.check()
        # The segment is named by a number: a reference would make a circle, in which a net that nobody needs
        # would stay until the collector finds it.
        variants = None if have_changed else self._recordings.current(id(self))
        if variants is None:
            variants = self._recordings.of_shapes(id(self), tuple([blob.place for blob in self._blobs]))
        return variants

    def _record_from(self, first: int, variant: Variant, loss: float) -> tuple[int, float]:
        """Runs parts from the first on, and records them as far as they can be replayed together.

        Returns the index of the part behind them, and the loss with their shares added.
        """
        variant[first] = None
        if not self._parts[first].is_replayable:
            return first + 1, loss + self._parts[first].run()
        if self._guarded[first]:
            return first + 1, loss + self._record_guarded(first, variant)
        end = first
        with record() as recording:
            while end < len(self._parts) and self._parts[end].is_replayable and not self._guarded[end]:
                count = len(recording)
                recording.mark(self._parts[end].what)
                loss += self._parts[end].run()
                if not recording.whole:
                    recording.forget(count)
                    variant[end] = None
                    break
                end += 1
        if end > first:
            variant[first] = PlainReplay(recording, self._parts[first:end], end)
        return (end if recording.whole else end + 1), loss

    def _record_guarded(self, i: int, variant: Variant) -> float:
        """Runs a part that comes from outside, and records it by itself; returns its share of the loss."""
        part = self._parts[i]
        witness = Witness(part)
        with record() as recording:
            recording.mark(part.what)
            loss = part.run()
        if recording.whole:
            variant[i] = GuardedReplay(PlainReplay(recording, [part], i + 1), part, witness)
        return loss


class _Call:
    """A call between two pieces of a pass."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def run(self) -> float:
        """Makes the call; it has no share of the loss."""
        self._function()
        return 0.0


class Pass:
    """One way through a net.

    The first time that blobs have certain shapes, each part is called. The second time, the parts that leave
    all work to kernels are recorded, and from then on each stretch of them is replayed at once: Python would
    take a fifth of SqueezeNet's time for one image. Weights and inputs may change in between, since a
    recording holds the places of values and not the values. Parameters of layers are not expected to change.

    Args:
        parts: what to run, in order.
        recordings: the net's.
        adding_to: blobs to whose gradients backward parts add. What they do may depend on whether these are
            clear when the pass begins; forward parts do not touch them.
        calls: what to call on the way, by the number of parts that have run then.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        recordings: Recordings,
        adding_to: Sequence[Blob] = (),
        calls: Mapping[int, Callable[[], object]] | None = None,
    ) -> None:
        self._adding_to = adding_to
        self._pieces: list[Segment | Part | _Call] = []
        calls = calls or {}
        stops = sorted({0, *calls, len(parts)})
        for start, end in pairwise(stops):
            for shape_themselves, group in groupby(parts[start:end], key=lambda part: part.shapes_itself):
                same = list(group)
                self._pieces += same if shape_themselves else [Segment(same, recordings)]
            if end in calls:
                self._pieces.append(_Call(calls[end]))

    def run(self) -> float:
        """Runs all parts and returns the loss."""
        key = tuple([blob.diff_is_clear for blob in self._adding_to])
        loss = 0.0
        for piece in self._pieces:
            loss = piece.run(key, loss) if isinstance(piece, Segment) else loss + piece.run()
        return loss

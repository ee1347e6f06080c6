"""Passes that nobody watches: layer by layer, or in longer pieces that run without Python."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels._jit import get_num_threads
from pycaffe_lite.kernels._steps import Steps, note
from pycaffe_lite.kernels.convolution import NO_END
from pycaffe_lite.net.fusion import Run, takes_along
from pycaffe_lite.net.graph import Node


class Part(Protocol):
    """What a pass is made of: one layer's verb, or that of several in one go.

    Attributes:
        only_starts_kernels: whether to run it is no more than to start kernels, with the calls around that.
        before, after: these calls, if it is no more than that; the latter check what the kernels have met and
            return its part of the loss.
    """

    only_starts_kernels: bool
    before: list[Callable[[], object]]
    after: list[Callable[[], float]]

    def run(self, settled: bool) -> float:
        """Runs it; returns its part of the loss. settled: all blobs are as the last pass left them."""


class Forward:
    """The forward pass of the layers of a run."""

    def __init__(self, layers: Run) -> None:
        self.run = layers.forward
        self.only_starts_kernels = layers.only_starts_kernels
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], float]] = [layers.finish] if layers.finishes else []


class Backward:
    """The backward pass of a layer, and of an activation before it that it takes along."""

    def __init__(self, node: Node, activation: Node | None) -> None:
        self._node, self._activation = node, activation
        layer = node.layer
        verb = "backward" if activation is None else "backward_with_slope"
        self.only_starts_kernels = layer.is_by_kernels(verb)
        # What is left to be written of cleared gradients.
        self.before: list[Callable[[], object]] = [blob.finish_clearing for blob in (*node.top, *node.bottom)]
        self.before += [layer.ready_diffs] if layer.blobs else []
        self.after: list[Callable[[], float]] = []
        if layer.checks_bottoms:
            self.after.append(partial(_check_bottoms, node))

    def run(self, settled: bool) -> float:
        """Runs it, which is no part of the loss."""
        node = self._node
        if self._activation is None:
            node.layer.backward(node.top, node.bottom_need_backward, node.bottom)
        else:
            slope = self._activation.layer.before_end(NO_END).slope
            node.layer.backward_with_slope(node.top, node.bottom_need_backward, node.bottom, slope)
        return 0.0


def backward_parts(nodes: Sequence[Node]) -> list[Part]:
    """The backward pass of a net's layers."""
    parts: list[Part] = []
    left = [node for node in nodes if node.need_backward]
    while left:
        node = left.pop()
        parts.append(Backward(node, left.pop() if left and takes_along(node, left[-1]) else None))
    return parts


def _check_bottoms(node: Node) -> float:
    node.layer.check_bottoms(node.bottom)
    return 0.0


class Conditions(NamedTuple):
    """What steps depend on, besides the values in blobs."""

    layouts: int  # of all blobs
    threads: int
    caller: int  # the thread whose working memory the kernels use


class Notes(NamedTuple):
    """The steps of some parts of a pass, one after another."""

    steps: Steps
    before: Sequence[Callable[[], object]]  # each once
    after: Sequence[Callable[[], float]]
    end: int  # the part behind them


Page = dict[int, Notes]  # what a pass has noted, by the first part


class Notebook:
    """What a net's passes have noted under the present conditions; empty as soon as these are others.

    It holds on to the memory that the noted steps work on, and has few pages: only backward passes need
    several, one where gradients were cleared before and one where they were not.
    """

    MOST_PAGES = 8

    def __init__(self) -> None:
        self._conditions: Conditions | None = None
        self._pages: dict[Hashable, Page | None] = {}

    def open(self, key: Hashable) -> tuple[Page | None, bool]:
        """The page of a key, if there is one; and whether this is the first time that it is asked for."""
        conditions = conditions_now()
        if conditions != self._conditions:
            self._conditions, self._pages = conditions, {}
        return self._pages.get(key), key not in self._pages

    def keep(self, key: Hashable, page: Page | None) -> None:
        """Keep what a pass has noted; unless the conditions have changed on the way. None: nothing yet."""
        if conditions_now() != self._conditions:
            self._pages = {}
            return
        if key not in self._pages and len(self._pages) == self.MOST_PAGES:
            del self._pages[next(iter(self._pages))]  # the oldest
        self._pages[key] = page


class Pass:
    """One way through a net.

    The first time, each part is run by itself. If the conditions are the same the second time, it notes the
    steps of those that only start kernels, and from then on each piece of them is run at once: Python would
    take a fifth of SqueezeNet's time for one image. Weights and inputs may change in between: steps know
    where values are, not what they are. As soon as the conditions are others, all begins anew. Parameters of
    layers are not expected to change.

    Args:
        parts: what to run, in order.
        notebook: the net's.
        adding_to: blobs to whose gradients backward parts add. What they do may depend on whether these are
            clear when the pass begins; forward parts do not touch them.
    """

    def __init__(self, parts: Sequence[Part], notebook: Notebook, adding_to: Sequence[Blob] = ()) -> None:
        self._parts = parts
        self._notebook = notebook
        self._adding_to = adding_to
        self._layouts = -1  # of all blobs, as the last pass left them

    def run(self) -> float:
        """Runs all parts and returns the loss."""
        # not the pass itself: a net that nobody needs would stay until the collector finds the circle
        key = id(self), tuple([blob.diff_is_clear for blob in self._adding_to])
        page, is_first = self._notebook.open(key)
        noting = page is None and not is_first
        notes = {} if page is None else page
        loss, i = 0.0, 0
        while i < len(self._parts):
            settled = self._layouts == Blob.layouts
            if noting and settled and self._parts[i].only_starts_kernels:
                part_of_loss, i = self._note_from(i, notes)
                loss += part_of_loss
            elif i in notes and settled:
                steps, before, after, i = notes[i]
                for call in before:
                    call()
                steps.run()
                for finish in after:
                    loss += finish()
            else:
                loss += self._parts[i].run(settled)
                i += 1
        if page is None:
            self._notebook.keep(key, None if is_first else notes)
        self._layouts = Blob.layouts
        return loss

    def _note_from(self, first: int, notes: Page) -> tuple[float, int]:
        """Runs parts from the first on, as long as they only start kernels, and notes their steps.

        Returns their part of the loss, and the index of the part behind them.
        """
        loss, end = 0.0, first
        with note() as steps:
            while end < len(self._parts) and self._parts[end].only_starts_kernels:
                count = len(steps)
                loss += self._parts[end].run(settled=True)
                if not steps.whole:
                    steps.forget(count)
                    break
                end += 1
        if end > first:
            noted = self._parts[first:end]
            before = dict.fromkeys(call for part in noted for call in part.before)
            notes[first] = Notes(steps, list(before), [call for part in noted for call in part.after], end)
        return loss, end if steps.whole else end + 1


def conditions_now() -> Conditions:
    """What steps that are noted now depend on."""
    return Conditions(Blob.layouts, get_num_threads(), threading.get_ident())

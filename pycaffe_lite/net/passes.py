"""Passes that nobody watches: layer by layer, or in longer pieces that run without Python."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple, Protocol

from pycaffe_lite.blob import Blob, Changes
from pycaffe_lite.kernels import Steps, get_num_threads, note
from pycaffe_lite.kernels.convolution import NO_EPILOGUE
from pycaffe_lite.net.fusion import Run, takes_along
from pycaffe_lite.net.graph import Node, blobs_of


class Part(Protocol):
    """What a pass is made of: one layer's verb, or that of several in one go.

    Attributes:
        nodes: the layers, whose blobs it works on.
        only_starts_kernels: whether to run it is no more than to start kernels, with the calls around that.
        before, after: these calls, if it is no more than that; the latter check what the kernels have met and
            return its part of the loss.
        shapes_itself: whether it shapes its layers whenever it runs, which may depend on values.
    """

    nodes: Sequence[Node]
    only_starts_kernels: bool
    before: list[Callable[[], object]]
    after: list[Callable[[], float]]
    shapes_itself: bool

    def reshape(self) -> None:
        """Shapes its layers to what lies before them; for parts that do not shape themselves."""

    def run(self) -> float:
        """Runs it; returns its part of the loss."""


class Forward:
    """The forward pass of the layers of a run."""

    def __init__(self, layers: Run) -> None:
        self.nodes = layers.nodes
        self.reshape, self.run = layers.reshape, layers.forward
        self.only_starts_kernels = layers.only_starts_kernels
        self.shapes_itself = layers.shapes_itself
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], float]] = [layers.finish] if layers.finishes else []


class Backward:
    """The backward pass of a layer, and of an activation before it that it takes along."""

    shapes_itself = False

    def __init__(self, node: Node, activation: Node | None) -> None:
        self._node, self._activation = node, activation
        self.nodes: Sequence[Node] = [node] if activation is None else [node, activation]
        layer = node.layer
        verb = "backward" if activation is None else "backward_with_slope"
        self.only_starts_kernels = layer.is_by_kernels(verb)
        # What is left to be written of cleared gradients.
        self.before: list[Callable[[], object]] = [blob.finish_clearing for blob in (*node.top, *node.bottom)]
        self.before += [layer.ready_diffs] if layer.blobs else []
        self.after: list[Callable[[], float]] = []
        if layer.checks_bottoms:
            self.after.append(partial(_check_bottoms, node))

    def reshape(self) -> None:
        """Does nothing: the forward pass has shaped the layers."""

    def run(self) -> float:
        """Runs it, which is no part of the loss."""
        node = self._node
        if self._activation is None:
            node.layer.backward(node.top, node.bottom_need_backward, node.bottom)
        else:
            slope = self._activation.layer.epilogue_before(NO_EPILOGUE).slope
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


class Notes(NamedTuple):
    """The steps of some parts of a pass, one after another."""

    steps: Steps
    before: Sequence[Callable[[], object]]  # each once
    after: Sequence[Callable[[], float]]
    end: int  # the part behind them


Page = dict[int, Notes | None]  # what was noted, by the first part; None: a part that cannot be
Book = dict[Hashable, Page]  # for blobs of certain shapes, by which gradients were clear


class Notebook:
    """What a net's passes have noted, for several shapes of its blobs.

    It holds on to the memory that the noted steps work on, so it is emptied as soon as any blob of the net
    has other memory; and where kernels run on other threads, or in another thread of Python's, whose working
    memory they use. A net that goes back and forth between some shapes, say of an image pyramid, keeps its
    memory once it has seen the largest.

    Args:
        blobs: all blobs that the net's layers work on. changes: counts these blobs' changes.
    """

    MOST_SHAPES = 16  # per segment
    MOST_PAGES = 8  # only backward passes need several: gradients were cleared before, or they were not

    def __init__(self, blobs: Sequence[Blob], changes: Changes) -> None:
        self.changes = changes
        self._blobs = blobs
        self._seen = -1  # of the changes, when the memory was looked at
        self._memory: list[tuple[int, int]] = []
        self._runs_on: tuple[int, int] = (0, 0)
        self._books: dict[int, dict[Hashable, Book]] = {}  # by segment, and by shapes
        self._open: dict[int, Book] = {}  # by segment

    def check(self) -> None:
        """Empties the notebook where what it holds is out of date."""
        runs_on = get_num_threads(), threading.get_ident()
        if self._seen != self.changes.number:
            self._seen = self.changes.number
            memory = [blob.memory for blob in self._blobs]
            if memory != self._memory:
                self._memory = memory
                self._empty()
        if runs_on != self._runs_on:
            self._runs_on = runs_on
            self._empty()

    def _empty(self) -> None:
        self._books, self._open = {}, {}

    def book(self, segment: int) -> Book | None:
        """What was noted of a segment for the shapes that it had when it was last opened."""
        return self._open.get(segment)

    def open(self, segment: int, shapes: Hashable) -> Book:
        """What was noted of a segment for blobs of these shapes; the shapes used last are kept longest."""
        books = self._books.setdefault(segment, {})
        book = books.pop(shapes, None)
        if book is None and len(books) == self.MOST_SHAPES:
            del books[next(iter(books))]
        book = books[shapes] = self._open[segment] = {} if book is None else book
        return book


class Segment:
    """Parts of a pass that can all be shaped before any of them runs: no shape depends on values.

    Args:
        parts: what to run, in order.
        notebook: the net's.
    """

    def __init__(self, parts: Sequence[Part], notebook: Notebook) -> None:
        self._parts = parts
        self._notebook = notebook
        self._blobs = blobs_of(node for part in parts for node in part.nodes)
        self._shaped = -1  # the net's changes when the layers were last shaped

    def run(self, key: Hashable, loss: float) -> float:
        """Runs all parts.

        Args:
            key: what notes depend on besides shapes and memory.
            loss: of what ran before.

        Returns:
            The loss with these parts' added.
        """
        book = self._shape()
        page = book.get(key)
        if page is None:
            for part in self._parts:
                loss += part.run()
            if len(book) == Notebook.MOST_PAGES:
                del book[next(iter(book))]  # the oldest
            book[key] = {}
            return loss
        i = 0
        while i < len(self._parts):
            if i not in page:
                i, loss = self._note_from(i, page, loss)
                continue
            notes = page[i]
            if notes is None:
                loss += self._parts[i].run()
                i += 1
                continue
            steps, before, after, i = notes
            for call in before:
                call()
            steps.run()
            for finish in after:
                loss += finish()
        return loss

    def _shape(self) -> Book:
        """Shapes the layers where any blob of the net has changed; returns what was noted for the shapes."""
        changes = self._notebook.changes
        have_changed = self._shaped != changes.number
        if have_changed:
            for part in self._parts:
                part.reshape()
            self._shaped = changes.number
        self._notebook.check()
        # by its number: a net that nobody needs would stay, in a circle, until the collector finds it
        book = None if have_changed else self._notebook.book(id(self))
        if book is None:
            book = self._notebook.open(id(self), tuple([blob.place for blob in self._blobs]))
        return book

    def _note_from(self, first: int, page: Page, loss: float) -> tuple[int, float]:
        """Runs parts from the first on, as long as they only start kernels, and notes their steps.

        Returns the index of the part behind them, and the loss with theirs added.
        """
        page[first] = None
        if not self._parts[first].only_starts_kernels:
            return first + 1, loss + self._parts[first].run()
        end = first
        with note() as steps:
            while end < len(self._parts) and self._parts[end].only_starts_kernels:
                count = len(steps)
                loss += self._parts[end].run()
                if not steps.whole:
                    steps.forget(count)
                    page[end] = None
                    break
                end += 1
        if end > first:
            noted = self._parts[first:end]
            before = dict.fromkeys(call for part in noted for call in part.before)
            page[first] = Notes(steps, list(before), [call for part in noted for call in part.after], end)
        return (end if steps.whole else end + 1), loss


class Pass:
    """One way through a net.

    The first time that blobs have certain shapes, each part is run by itself. The second time, it notes the
    steps of those that only start kernels, and from then on each piece of them is run at once: Python would
    take a fifth of SqueezeNet's time for one image. Weights and inputs may change in between: steps know
    where values are, not what they are. Parameters of layers are not expected to change.

    Args:
        parts: what to run, in order.
        notebook: the net's.
        adding_to: blobs to whose gradients backward parts add. What they do may depend on whether these are
            clear when the pass begins; forward parts do not touch them.
    """

    def __init__(self, parts: Sequence[Part], notebook: Notebook, adding_to: Sequence[Blob] = ()) -> None:
        self._adding_to = adding_to
        self._pieces = [
            piece
            for shape_themselves, group in groupby(parts, key=lambda part: part.shapes_itself)
            for piece in (list(group) if shape_themselves else [Segment(list(group), notebook)])
        ]

    def run(self) -> float:
        """Runs all parts and returns the loss."""
        key = tuple([blob.diff_is_clear for blob in self._adding_to])
        loss = 0.0
        for piece in self._pieces:
            loss = piece.run(key, loss) if isinstance(piece, Segment) else loss + piece.run()
        return loss

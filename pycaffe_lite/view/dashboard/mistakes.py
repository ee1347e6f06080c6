"""How a test net classifies: which classes it takes for which, and the pictures that it gets most wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.net.graph import Node
from pycaffe_lite.net.net import Net
from pycaffe_lite.view.dashboard.png import Pixels, png

# Pictures that are kept, and their longer side in pixels.
MOST_PICTURES, LONGEST_SIDE = 12, 128
# Classes of a matrix that can be read. Of more, the pairs that are mistaken most often are listed.
MOST_CLASSES, MOST_PAIRS = 40, 20
_READERS = ("SoftmaxWithLoss", "Accuracy", "MultinomialLogisticLoss", "InfogainLoss")

Indices = npt.NDArray[np.int64]


class Mistake(NamedTuple):
    """A picture that was taken for another class, with the probabilities of both; `image` is a PNG file."""

    label: int
    guess: int
    label_probability: float
    guess_probability: float
    image: bytes


@dataclass(frozen=True)
class Test:
    """What a test has shown.

    Attributes:
        iteration: at which it was. classes: how many there are. tested, right: how many items.
        pairs: (n, 3) int64: label, guess, and how many items; all that occur.
        mistakes: the worst ones first.
    """

    iteration: int
    classes: int
    tested: int
    right: int
    pairs: npt.NDArray[np.int64]
    mistakes: list[Mistake] = field(default_factory=list)


class Classification:
    """The blobs of a test net that say how it classifies.

    Attributes:
        scores: (N, C, 1...). labels: N values. images: (N, 1 or 3, H, W); None if no data layer makes such.
        are_probabilities: whether the scores have been through a Softmax layer.
    """

    def __init__(
        self, scores: Blob, labels: Blob, images: Blob | None, *, are_probabilities: bool = False
    ) -> None:
        self.scores, self.labels, self.images = scores, labels, images
        self.are_probabilities = are_probabilities

    @classmethod
    def of(cls, net: Net) -> Classification | None:
        """Of a net; None if no layer of it compares scores of classes with labels."""
        nodes = net.graph.nodes
        for node in reversed(nodes):
            if node.layer.type in _READERS and len(node.bottom) >= 2:
                scores, labels = node.bottom[:2]
                shape = scores.shape
                if len(shape) > 1 and shape[1] > 1 and shape[0] * shape[1] == scores.count:
                    if labels.count != shape[0]:
                        continue
                    made_by = _maker(nodes, node.bottom_ids[0])
                    is_softmax = made_by is not None and made_by.layer.type == "Softmax"
                    return cls(scores, labels, _images(nodes, shape[0]), are_probabilities=is_softmax)
        return None


def _maker(nodes: list[Node], blob: int) -> Node | None:
    """The layer that makes a blob, or the one from which a Split layer has it."""
    for node in reversed(nodes):
        if blob in node.top_ids:
            return _maker(nodes, node.bottom_ids[0]) if node.layer.type == "Split" else node
    return None


def _images(nodes: list[Node], count: int) -> Blob | None:
    for node in nodes:
        if not node.bottom:
            for blob in node.top:
                if len(blob.shape) == 4 and blob.shape[0] == count and blob.shape[1] in (1, 3):
                    return blob
    return None


class MistakeCounter:
    """Adds up the batches of a test.

    Args:
        blobs: of the test net.
    """

    def __init__(self, blobs: Classification) -> None:
        self._blobs = blobs
        self._codes: list[npt.NDArray[np.int64]] = []  # label times classes plus guess
        self._worst: list[tuple[Mistake, Array]] = []

    def add(self) -> None:
        """Adds the batch that the net has just seen."""
        count, classes = self._blobs.scores.shape[:2]
        scores = self._blobs.scores.data.reshape(count, classes)
        with np.errstate(invalid="ignore"):  # a label that is not finite is no class
            labels = self._blobs.labels.data.reshape(-1)[:count].astype(np.int64)
        guesses = scores.argmax(axis=1)
        known = (labels >= 0) & (labels < classes) & np.isfinite(scores).all(axis=1)
        self._codes.append((labels * classes + guesses)[known])
        wrong = np.flatnonzero(known & (labels != guesses))
        if len(wrong) and self._blobs.images is not None:
            self._add_pictures(self._blobs.images.data, wrong, scores[wrong], labels[wrong], guesses[wrong])

    def _add_pictures(
        self, images: Array, wrong: Indices, scores: Array, labels: Indices, guesses: Indices
    ) -> None:
        """Keeps the worst pictures of a batch. The others: of the items that are wrong."""
        parts = scores.astype(np.float64)
        if not self._blobs.are_probabilities:
            parts = np.exp(parts - parts.max(axis=1, keepdims=True))
            parts /= parts.sum(axis=1, keepdims=True)
        rows = np.arange(len(wrong))
        right, guessed = parts[rows, labels], parts[rows, guesses]
        limit = self._worst[-1][0].label_probability if len(self._worst) == MOST_PICTURES else np.inf
        step = -(-max(images.shape[2:]) // LONGEST_SIDE)
        for k in np.lexsort((-guessed, right))[:MOST_PICTURES]:
            if right[k] >= limit:
                break
            found = int(labels[k]), int(guesses[k]), float(right[k]), float(guessed[k])
            self._worst.append((Mistake(*found, b""), images[wrong[k], :, ::step, ::step].copy()))
        self._worst = sorted(self._worst, key=lambda worst: worst[0].label_probability)[:MOST_PICTURES]

    def result(self, iteration: int) -> Test:
        """What the batches have shown."""
        classes = self._blobs.scores.shape[1]
        codes, counts = np.unique(np.concatenate([*self._codes, np.empty(0, np.int64)]), return_counts=True)
        labels, guesses = codes // classes, codes % classes
        pairs = np.stack([labels, guesses, counts], axis=1)
        mistakes = [mistake._replace(image=png(_pixels(image))) for mistake, image in self._worst]
        return Test(
            *(iteration, classes, int(counts.sum()), int(counts[labels == guesses].sum()), pairs, mistakes)
        )


def _pixels(image: Array) -> Pixels:
    """A picture of a net's input, (C, H, W), whose values go from black, the least, to white, the largest."""
    values = np.where(np.isfinite(image), image, 0.0).astype(np.float64)
    low, high = values.min(), values.max()
    scaled = np.rint((values - low) * (255 / (high - low) if high > low else 0.0)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(scaled[::-1].transpose(1, 2, 0), (*scaled.shape[1:], 3)))

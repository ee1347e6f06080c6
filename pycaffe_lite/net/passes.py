"""Forward passes that nobody watches: runs of layers, and what can be run again without Python."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels._jit import get_num_threads
from pycaffe_lite.kernels._steps import Steps, note
from pycaffe_lite.net.fusion import Run


class Conditions(NamedTuple):
    """What the kernels' steps depend on, besides the values in blobs."""

    layouts: int  # of all blobs
    threads: int
    caller: int  # the thread whose working memory the kernels use


def _conditions() -> Conditions:
    return Conditions(Blob.layouts, get_num_threads(), threading.get_ident())


class ForwardPass:
    """The forward pass of a net, layer by layer, or in longer pieces once its blobs have settled.

    The first pass shapes the blobs and runs each layer. If the conditions are the same after it, the second
    notes the steps of layers that only start kernels, and from then on each piece of them is run at once:
    Python's part of a pass would take a quarter of the time of a small net. Weights and inputs may change
    in between: steps know where values are, not what they are. As soon as the conditions are others, all
    begins anew.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._settled_for: Conditions | None = None  # as the last pass left them
        self._noted_for: Conditions | None = None
        self._noted: dict[int, tuple[Steps, int]] = {}  # by first run: steps, and the run behind the last

    def forward(self) -> float:
        """Runs all layers and returns the loss."""
        conditions = _conditions()
        if conditions != self._noted_for:
            self._noted, self._noted_for = {}, None
        noting = self._noted_for is None and conditions == self._settled_for
        loss, i = 0.0, 0
        while i < len(self._runs):
            if noting and self._is_settled() and self._runs[i].only_starts_kernels:
                i = self._note_from(i)
            elif i in self._noted and self._is_settled():
                steps, i = self._noted[i]
                steps.run()
            else:
                loss += self._runs[i].forward(self._is_settled())
                i += 1
        if noting and conditions == _conditions():
            self._noted_for = conditions
        self._settled_for = _conditions()
        return loss

    def _is_settled(self) -> bool:
        """Whether the blobs are as the last pass left them: reshaping them again would do nothing."""
        return self._settled_for is not None and self._settled_for.layouts == Blob.layouts

    def _note_from(self, first: int) -> int:
        """Runs layers from run `first` on, as long as they only start kernels, and notes their steps.

        Returns the index of the run behind them.
        """
        i = first
        with note() as steps:
            while i < len(self._runs) and self._runs[i].only_starts_kernels:
                count = len(steps)
                self._runs[i].forward(settled=True)
                i += 1
                if not steps.whole:
                    steps.forget(count)
                    if i - 1 > first:
                        self._noted[first] = steps, i - 1
                    return i
        self._noted[first] = steps, i
        return i

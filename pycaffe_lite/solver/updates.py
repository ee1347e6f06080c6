"""The updates of all parameters of a net, run together."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import Recording, get_num_threads, record
from pycaffe_lite.kernels.update import Rule

Conditions = tuple[list[tuple[int, int]], int, int]  # the memory; threads; whose working memory kernels use


class Updates:
    """Runs a rule for all parameters of a net.

    The kernels' calls are recorded, and from then on run together, as those of a net's passes are
    (`net.passes`): starting one for each small parameter would take longer than the updates themselves. The
    kernels read their numbers from an array, so these can change from one update to the next.

    Args:
        rule: the kernel.
        whats: what the update of each parameter is, for those who look at the time that it takes.
    """

    def __init__(self, rule: Rule, whats: Sequence[str] = ()) -> None:
        self._rule, self._whats = rule, whats
        self._given: Sequence[Sequence[float]] = ()
        self._numbers = np.empty((0, 0))
        self._finite = np.ones(1, np.int64)
        self._recording = Recording()
        self._conditions: Conditions | None = None
        self._history: list[Array] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Updates:
        # A copied solver records calls for its own memory; the kernel is the same for all.
        return Updates(self._rule, self._whats)

    def run(
        self, numbers: Sequence[Sequence[float]], blobs: Sequence[Blob], history: Sequence[Array]
    ) -> bool:
        """Updates parameters, their gradients and their history in place.

        Args:
            numbers: for each parameter, the numbers that the rule takes, see `kernels.update`.
            blobs: the parameters.
            history: one array for each parameter; if there are several, first the first one of each.

        Returns:
            Whether all parameters are finite afterwards.
        """
        if numbers != self._given:
            shape = len(numbers), len(numbers[0]) if numbers else 0
            if self._numbers.shape != shape:
                self._conditions, self._numbers = None, np.empty(shape)
            self._given, self._numbers[:] = [tuple(row) for row in numbers], np.reshape(numbers, shape)
        self._finite[0] = 1
        for blob in blobs:
            blob.finish_clearing()
        same = len(history) == len(self._history) and all(map(operator.is_, history, self._history))
        conditions = [blob.memory for blob in blobs], get_num_threads(), threading.get_ident()
        if same and self._conditions == conditions:
            self._recording.run()
        else:
            with record() as self._recording:
                self._start_each(self._recording, blobs, history)
            self._conditions, self._history = conditions, list(history)
        return bool(self._finite[0])

    def _start_each(self, recording: Recording, blobs: Sequence[Blob], history: Sequence[Array]) -> None:
        for k, blob in enumerate(blobs):
            if self._whats:
                recording.mark(self._whats[k])
            arrays = blob.data, blob.diff, *history[k :: len(blobs)]
            self._rule([array.reshape(-1) for array in arrays], self._numbers[k], self._finite)

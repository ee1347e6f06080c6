"""Lookahead: weights that, now and then, step back towards a slower copy of themselves."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.proto import caffe_pb2

COUNT = 8  # bytes of the count in a state


class Lookahead:
    """jolibrain's `lookahead`, after each update, whatever the solver's type.

    The slow copy is taken after the first update. After every lookahead_steps updates,

        slow ← α · w + (1 − α) · slow
        w ← slow

    with α = lookahead_alpha. The fork does not keep the copy in snapshots; ours do.

    Paper: Zhang, Lucas, Hinton, Ba, "Lookahead Optimizer: k steps forward, 1 step back", 2019 (arXiv
    1907.08610).
    Source: jolibrain/caffe src/caffe/solvers/sgd_solver.cpp
    """

    def __init__(self, param: caffe_pb2.SolverParameter, blobs: Sequence[Blob]) -> None:
        self.alpha, self.steps = param.lookahead_alpha, param.lookahead_steps
        self.blobs = blobs
        self.count = 0
        self.slow: list[Array] = []

    def after_update(self) -> None:
        """Counts an update, and lets the weights step back if it is time."""
        if not self.count:
            self.slow = [blob.data.copy() for blob in self.blobs]
        self.count += 1
        if self.count % self.steps:
            return
        for blob, slow in zip(self.blobs, self.slow, strict=True):
            T = slow.dtype.type
            slow[...] = T(self.alpha) * blob.data + T(1 - self.alpha) * slow
            blob.data[...] = slow

    def state(self) -> bytes:
        """The count, and the copies behind it."""
        return b"".join([self.count.to_bytes(COUNT, sys.byteorder), *(slow.tobytes() for slow in self.slow)])

    def fits(self, state: bytes) -> bool:
        """Whether bytes are a state for these blobs."""
        full = COUNT + sum(blob.data.nbytes for blob in self.blobs)
        return len(state) == full or (len(state) == COUNT and not any(state))

    def set_state(self, state: bytes) -> None:
        """Goes on from a state that fits; starts afresh if it is empty."""
        self.count, self.slow, place = int.from_bytes(state[:COUNT], sys.byteorder), [], COUNT
        for blob in self.blobs if self.count else ():
            part = state[place : place + blob.data.nbytes]
            self.slow.append(np.frombuffer(part, blob.data.dtype).reshape(blob.shape).copy())
            place += len(part)

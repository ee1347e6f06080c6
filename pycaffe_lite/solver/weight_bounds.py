"""Bounds that weights are kept within after each update, as in happynear's fork."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels.update import sum_squares
from pycaffe_lite.proto import caffe_pb2

CLAMPS = ("clamp_weights_lower", "clamp_weights_upper")


def are_bounded(p: caffe_pb2.SolverParameter) -> bool:
    """Whether the settings bound the weights."""
    return p.clip_weights >= 0 or any(p.HasField(name) for name in CLAMPS)


def bound_weights(p: caffe_pb2.SolverParameter, blobs: Sequence[Blob]) -> None:
    """Brings all learnable blobs within the bounds.

    First, with clip_weights of at least 0, they are scaled down so that the L2 norm of all together is that
    at most. Then, if a clamp is given, each number is moved to the interval from clamp_weights_lower to
    clamp_weights_upper.

    Source: happynear/caffe-windows src/caffe/solvers/sgd_solver.cpp
    """
    if p.clip_weights >= 0:
        norm = math.sqrt(sum(sum_squares(blob.data.ravel()) for blob in blobs))
        if norm > p.clip_weights:
            for blob in blobs:
                blob.data[...] *= blob.data.dtype.type(p.clip_weights / norm)
    if any(p.HasField(name) for name in CLAMPS):
        for blob in blobs:
            np.clip(blob.data, p.clamp_weights_lower, p.clamp_weights_upper, out=blob.data)

"""Schedules of momentum and weight decay where their tests of whole updates do not look."""

import math

import pytest

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import schedules


def test_an_unknown_weight_decay_policy_is_constant():
    param = caffe_pb2.SolverParameter(weight_decay=0.25, weight_decay_policy="cosine", max_iter=10)
    assert schedules.weight_decay(param, 5) == 0.25


@pytest.mark.parametrize("factor", [1, 1.5, 3])
def test_restarts(factor):
    """Against the fork's loop, which goes through all updates in order."""
    param = caffe_pb2.SolverParameter(decoupled_wd_t0=4, decoupled_wd_mult=factor)
    start, length = 0.0, 4.0
    for t in range(1, 60):
        if t >= start + length:
            start, length, wanted = start + length, length * factor, 1.0
        else:
            wanted = 0.5 + 0.5 * math.cos(math.pi * (t - start) / length)
        assert schedules.restarted_cosine(param, t) == pytest.approx(wanted, abs=1e-12)

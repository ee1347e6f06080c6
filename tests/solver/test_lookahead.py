"""The states of Lookahead; what it computes is in test_fork_updates.py."""

import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver.lookahead import Lookahead

PARAM = caffe_pb2.SolverParameter(lookahead_steps=3, lookahead_alpha=0.25)


@pytest.fixture
def blobs():
    made = [Blob((2, 3)), Blob((4,))]
    for blob in made:
        blob.data[...] = np.random.default_rng(0).normal(size=blob.shape)
    return made


@pytest.mark.parametrize("updates", [0, 1, 2, 3, 4])
def test_goes_on_from_its_state(blobs, updates):
    first, second = Lookahead(PARAM, blobs), Lookahead(PARAM, blobs)
    for _ in range(updates):
        for blob in blobs:
            blob.data[...] += 1
        first.after_update()
    state = first.state()
    assert second.fits(state)
    second.set_state(state)
    assert second.count == updates
    assert len(second.slow) == len(first.slow)
    for mine, theirs in zip(second.slow, first.slow, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_states_that_do_not_fit(blobs):
    made = Lookahead(PARAM, blobs)
    made.after_update()
    state = made.state()
    assert not made.fits(b"")
    assert not made.fits(state[:-4])
    assert not Lookahead(PARAM, blobs[:1]).fits(state)
    made.set_state(b"")
    assert (made.count, made.slow) == (0, [])

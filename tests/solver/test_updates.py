"""The updates of all parameters in one go: recorded calls follow what changes between two of them."""

import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.kernels import update
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.solver.updates import Updates

PLAIN = (1.0, 1.0, 0.0, 0.0)  # the gradient as it is


@pytest.fixture
def blobs():
    numbers = np.random.default_rng(0)
    made = [Blob((3, 5)), Blob((40_000,)), Blob((1,))]
    for blob in made:
        blob.data[...] = numbers.standard_normal(blob.shape)
    return made


@pytest.fixture
def history(blobs):
    return [np.zeros(blob.shape, np.float32) for blob in blobs]


class Plain:
    """SGD with momentum, parameter by parameter, in float64."""

    def __init__(self, blobs):
        self.w = [blob.data.astype(float) for blob in blobs]
        self.h = [np.zeros(blob.shape) for blob in blobs]

    def run(self, gradients, rates, mu):
        for w, h, g, rate in zip(self.w, self.h, gradients, rates, strict=True):
            h[...] = mu * h + rate * g
            w -= h


def run_both(updates, plain, blobs, history, rates, mu=0.9, seed=0):
    numbers = np.random.default_rng(seed)
    gradients = [numbers.standard_normal(blob.shape) for blob in blobs]
    for blob, gradient in zip(blobs, gradients, strict=True):
        blob.diff[...] = gradient
    assert updates.run([(*PLAIN, rate, mu) for rate in rates], blobs, history)
    plain.run(gradients, rates, mu)
    for blob, w, h in zip(blobs, plain.w, history, strict=True):
        np.testing.assert_allclose(blob.data, w, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(blob.diff, h)


def test_each_parameter_has_its_rate_and_each_update_its_numbers(blobs, history):
    updates, plain = Updates(update.sgd), Plain(blobs)
    for k, rates in enumerate([(0.1, 0.2, 0.3), (0.3, 0.1, 0.0), (0.01, 0.5, 2.0)]):
        run_both(updates, plain, blobs, history, rates, mu=0.5 + k / 10, seed=k)


def test_notices_other_memory_and_threads(blobs, history):
    updates, plain = Updates(update.sgd), Plain(blobs)
    rates = (0.1, 0.2, 0.3)
    run_both(updates, plain, blobs, history, rates)
    history[1] = history[1].copy()
    run_both(updates, plain, blobs, history, rates, seed=1)
    other = Blob(blobs[0].shape)
    other.data[...] = blobs[0].data
    blobs[0].share_data(other)
    run_both(updates, plain, blobs, history, rates, seed=2)
    before = get_num_threads()
    try:
        set_num_threads(1 if before > 1 else 2)
        run_both(updates, plain, blobs, history, rates, seed=3)
    finally:
        set_num_threads(before)


def test_a_cleared_gradient_is_zero(blobs, history):
    updates, plain = Updates(update.sgd), Plain(blobs)
    run_both(updates, plain, blobs, history, (0.1, 0.2, 0.3))
    for blob in blobs:
        blob.clear_diff()
    assert updates.run([(*PLAIN, 0.1, 0.9)] * 3, blobs, history)
    plain.run([np.zeros(blob.shape) for blob in blobs], [0.1] * 3, 0.9)
    for blob, w in zip(blobs, plain.w, strict=True):
        np.testing.assert_allclose(blob.data, w, rtol=1e-5, atol=1e-6)


def test_says_when_any_parameter_is_no_longer_finite(blobs, history):
    updates = Updates(update.sgd)
    numbers = [(*PLAIN, 0.1, 0.9)] * 3
    for blob in blobs:
        blob.diff.fill(0)
    assert updates.run(numbers, blobs, history)
    blobs[2].diff.fill(np.inf)
    assert not updates.run(numbers, blobs, history)

"""The decorators: how what they make is called, and how workers share out their tasks."""

import numpy as np
import pytest
from numba import prange

from pycaffe_lite.kernels.runtime.decorators import (
    kernel,
    parallel_kernel,
    take_task,
    worker_kernel,
)


@kernel
def halved(x):
    """x / 2, or infinity."""
    return x / 2


@kernel(inline="always")  # the flag is what is tested
def doubled(x):
    """2 x."""
    return 2 * x


@parallel_kernel
def scaled(x, factor, y):
    """y[i] = factor * x[i] / 2."""
    for i in prange(x.size):
        y[i] = doubled(halved(x[i])) * factor / 2


def test_kernels_call_each_other():
    y = np.empty(1000, np.float32)
    scaled(np.arange(1000, dtype=np.float32), np.float32(4), y)
    assert np.array_equal(y, 2 * np.arange(1000))


def test_python_function_stays_reachable():
    y = np.empty(3)
    scaled.py_func(np.ones(3), 4, y)
    assert np.array_equal(y, [2, 2, 2])
    assert halved.py_func(3) == halved(3) == 1.5
    assert scaled.__name__ == "scaled"
    assert scaled.__doc__ == "y[i] = factor * x[i] / 2."


@worker_kernel
def listed(count, owners, order, tasks, memory):
    """Each task that a worker takes: which worker it was, and how many it had taken before."""
    done = 0
    task = take_task(tasks, count)
    while task < count:
        owners[task], order[task] = memory[0], done
        done += 1
        task = take_task(tasks, count)


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_take_every_task_once_and_their_own_share_first(workers, count):
    memory = np.arange(workers, dtype=np.float32).reshape(workers, 1)
    owners, order = np.full(count, -1), np.full(count, -1)
    listed(memory, count, owners, order)
    assert np.all(owners >= 0)
    for worker in range(workers):
        taken = order[owners == worker]
        assert np.array_equal(np.sort(taken), np.arange(taken.size))
        share = range(worker * count // workers, (worker + 1) * count // workers)
        own = [order[task] for task in share if owners[task] == worker]
        assert own == list(range(len(own)))

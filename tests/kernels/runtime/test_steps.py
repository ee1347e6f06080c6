"""What was recorded runs again, in order, whoever comes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import prange

from pycaffe_lite.kernels import relu
from pycaffe_lite.kernels.runtime.decorators import (
    get_num_threads,
    parallel_kernel,
    set_num_threads,
    take_piece,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.steps import PIECE, break_recording, record

WORKERS = [1, 2, 5]


@worker_kernel
def doubled(x, tasks, _memory):
    """Doubles each number."""
    task = take_task(tasks, x.size)
    while task < x.size:
        x[task] *= 2
        task = take_task(tasks, x.size)


@worker_kernel
def summed(x, sums, total, tasks, _memory):
    """total[0] = the sum of x, whose parts are in sums."""
    task = take_task(tasks, 1)
    if task == 0:
        for part in range(sums.size):
            sums[part] = x[part :: sums.size].sum()
        total[0] = sums.sum()


@worker_kernel
def covered(counts, tasks, _memory):
    """Adds 1 to each number, piece by piece."""
    start, stop = take_piece(tasks, counts.size)
    while start < stop:
        counts[start:stop] += 1
        start, stop = take_piece(tasks, counts.size)


@worker_kernel
def spoils(out, tasks, memory):
    """Overwrites its memory before it takes a task."""
    memory[:] = -1
    task = take_task(tasks, out.size)
    while task < out.size:
        out[task] += 1
        task = take_task(tasks, out.size)


@worker_kernel
def relies(out, tasks, memory):
    """Adds up in its memory."""
    task = take_task(tasks, out.size)
    while task < out.size:
        for i in range(memory.size):
            memory[i] = 1
        total = 0.0
        for i in range(memory.size):
            total += memory[i]
        out[task] = total
        task = take_task(tasks, out.size)


@parallel_kernel
def other(x):
    """No worker kernel."""
    for i in prange(x.size):
        x[i] = 7


def memory_of(workers, dtype=np.float32):
    return np.empty((workers, 1), dtype)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_run_again_in_order(workers, dtype):
    x, sums, total = np.ones(100, dtype), np.empty(7, dtype), np.zeros(1, dtype)
    with record() as steps:
        for _ in range(3):
            doubled(memory_of(workers, dtype), x)
            summed(memory_of(1, dtype), x, sums, total)
    assert total[0] == 800
    assert len(steps) == 6
    assert steps.whole
    x[:] = 2
    steps.run()
    assert total[0] == 1600
    steps.forget(2)
    steps.run()
    assert total[0] == 3200


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 5 * PIECE + 3])
def test_pieces_cover_an_array_once(workers, size):
    counts = np.zeros(size, np.int64)
    covered(memory_of(workers), counts)
    assert (counts == 1).all()


def test_who_comes_late_touches_nothing():
    """Memory of one step is that of the next, in which the others may be when the last one comes."""
    before = get_num_threads()
    room = np.zeros(4000, np.float32)
    small, large = room[:1000].reshape(2, 500), room.reshape(2, 2000)
    counts, totals = np.zeros(1, np.float32), np.zeros(1, np.float32)
    with record() as steps:
        spoils(small, counts)
        relies(large, totals)
    try:
        set_num_threads(1)  # the second worker comes when the first one has done all
        steps.run()
    finally:
        set_num_threads(before)
    assert (counts[0], totals[0]) == (2, 2000)
    assert (room[:2000] == 1).all()


def test_arrays_stay_alive_while_they_are_recorded():
    def recorded():
        x, y = np.full(1 << 16, -2, np.float32), np.empty(1 << 16, np.float32)
        with record() as steps:
            relu.forward(x, 0.5, y)
        return steps, y

    steps, y = recorded()
    fillers = [np.full(1 << 16, 3, np.float32) for _ in range(50)]
    y[:] = 0
    steps.run()
    assert (y == -1).all()
    assert all((filler == 3).all() for filler in fillers)


def test_other_work_is_no_step():
    x = np.zeros(3, np.float32)
    with record() as steps:
        doubled(memory_of(2), x)
        assert steps.whole
        other(x)
    assert len(steps) == 1
    assert not steps.whole
    break_recording()  # nobody records: nothing to say


def test_notes_within_notes():
    x = np.ones(3, np.float32)
    with record() as outer:
        with record() as inner:
            doubled(memory_of(2), x)
        doubled(memory_of(2), x)
    assert (len(inner), len(outer)) == (1, 1)


def test_nothing_is_recorded_after_an_error():
    x = np.ones(3, np.float32)
    with pytest.raises(ZeroDivisionError), record() as steps:
        raise ZeroDivisionError
    doubled(memory_of(2), x)
    assert len(steps) == 0


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_threading_layers(layer):
    """Numba's own pool may run several workers in one thread, one after another."""
    script = (
        "import numpy as np\n"
        "from pycaffe_lite.kernels import relu\n"
        "from pycaffe_lite.kernels.runtime.decorators import set_num_threads\n"
        "from pycaffe_lite.kernels.runtime.steps import record\n"
        "set_num_threads(6)\n"
        "x = np.full(1_000_000, -1, np.float32)\n"
        "with record() as steps:\n"
        "    for _ in range(20):\n"
        "        relu.forward(x, 0.5, x)\n"
        "for _ in range(5):\n"
        "    x[:] = -1\n"
        "    steps.run()\n"
        "print((x == -(0.5 ** 20)).all())\n"
    )
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "True\n"

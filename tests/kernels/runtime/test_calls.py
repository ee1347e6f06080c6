"""Calls of worker kernels: what is written down of one reaches the kernel as it was given."""

from typing import NamedTuple

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.calls import data_address
from pycaffe_lite.kernels.runtime.decorators import take_task, worker_kernel
from pycaffe_lite.kernels.runtime.steps import record


class Sizes(NamedTuple):
    """Numbers and truth values side by side."""

    up: bool
    steps: int
    factor: float


@worker_kernel
def told(cube, numbers, sizes, nothing, down, count, slope, bytes_, out, tasks, memory):
    """out: something of each argument, axis by axis."""
    if take_task(tasks, 1) > 0:
        return
    out[0] = cube[1, 2, 3] if nothing is None else 0
    out[1], out[2], out[3] = cube.shape
    out[4] = numbers[-1]
    out[5] = (2 if sizes.up else 1) * sizes.steps * sizes.factor
    out[6] = 1 if down else 0
    out[7] = count
    out[8] = slope
    out[9] = bytes_[1, 0] + bytes_.size
    out[10] = memory.size
    out[11] = cube.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("up", [False, True])
def test_arguments_of_every_kind(dtype, up):
    cube = np.arange(2 * 3 * 5, dtype=dtype).reshape(2, 3, 5)
    numbers, bytes_ = np.array([5, -6], np.int32), np.array([[1], [200]], np.uint8)
    out = np.zeros(12, dtype)
    args = cube, numbers, Sizes(up, -3, 0.5), None, np.bool_(not up), -(1 << 40), dtype(0.1), bytes_, out
    with record() as steps:
        told(np.empty((2, 16), dtype), *args)
    of_numbers = [dtype(-(1 << 40)), dtype(0.1), 202, 16]
    wanted = [cube[1, 2, 3], *cube.shape, -6, -1.5 * (1 + up), 1 - up, *of_numbers, 435]
    assert out.tolist() == wanted
    cube += 1  # arrays are read anew, numbers are what they were
    steps.run()
    assert out.tolist() == [wanted[0] + 1, *wanted[1:-1], 465]


def test_too_many_arguments():
    @worker_kernel
    def nothing(sizes, tasks, _memory):
        take_task(tasks, sizes[0])

    memory = np.empty((1, 1), np.float32)
    nothing(memory, (0,) * 252)
    with pytest.raises(NotImplementedError, match="more than 2048 bytes"):
        worker_kernel(nothing.py_func)(memory, (0,) * 253)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 4), np.uint8)[1:, 2:], np.zeros(0, np.float32)])
def test_addresses_are_numpys(array):
    assert data_address(array) == array.ctypes.data

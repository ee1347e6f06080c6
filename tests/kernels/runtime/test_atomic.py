"""Atomic operations: what each returns and stores, also when several threads use one number."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.atomic import compare_and_swap, exchange, fetch_increment, load, pause
from pycaffe_lite.kernels.runtime.decorators import serial_kernel


@serial_kernel
def each_operation(numbers, results):
    """results: what each operation returns; numbers: an array, or the address of its numbers."""
    results[0] = fetch_increment(numbers, 1)
    results[1] = exchange(numbers, 2, 70)
    results[2] = compare_and_swap(numbers, 3, 30, 80)
    results[3] = compare_and_swap(numbers, 4, 51, 90)
    results[4] = load(numbers, 5)
    pause()


@serial_kernel
def increments(numbers, seen):
    """seen[i] = the numbers that this thread got, each of which it must have alone."""
    for i in range(seen.size):
        seen[i] = fetch_increment(numbers, 0)


@pytest.mark.parametrize("by_address", [False, True])
def test_what_they_return_and_store(by_address):
    numbers, results = np.arange(0, 70, 10), np.zeros(5, np.int64)
    each_operation(numbers.ctypes.data if by_address else numbers, results)
    assert results.tolist() == [10, 20, True, False, 50]
    assert numbers.tolist() == [0, 11, 70, 80, 40, 50, 60]


def test_threads_get_different_numbers():
    numbers = np.zeros(1, np.int64)
    parts = [np.empty(20_000, np.int64) for _ in range(3)]
    increments(numbers, np.empty(0, np.int64))  # compiled before the threads start
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda seen: increments(numbers, seen), parts))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(60_000))


def test_all_are_sequentially_consistent():
    """No run can show this on processors that order more than they have to, but the code tells."""
    each_operation(np.zeros(7, np.int64), np.zeros(5, np.int64))
    code = "\n".join(each_operation.inspect_llvm().values())
    operations = re.findall(r"(?:atomicrmw|cmpxchg|load atomic) .*", code)
    assert {operation.split()[0] for operation in operations} == {"atomicrmw", "cmpxchg", "load"}
    assert all("seq_cst" in operation for operation in operations)
    assert not any("monotonic" in operation for operation in operations)

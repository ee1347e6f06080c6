"""Condition variables and clocks, as kernels use them."""

import threading
import time

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.atomic import fetch_increment, load
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.system import (
    CONDITIONS,
    SYSTEM_NUMBERS,
    TIME,
    lock,
    notify_all,
    now,
    own_time,
    unlock,
    wait,
    write_system,
)


@serial_kernel
def use(system, numbers, condition, what):
    """0: numbers[0] += 1, slowly, under the lock; 1: sleep until numbers[1] is not 0; 2: wake who sleeps."""
    if what == 0:
        for _ in range(2000):
            lock(system, condition)
            before = load(numbers, 0)
            for _ in range(20):
                load(numbers, 2)
            numbers[0] = before + 1
            unlock(system, condition)
    elif what == 1:
        lock(system, condition)
        fetch_increment(numbers, 2)  # the lock is held until the thread sleeps
        while load(numbers, 1) == 0:
            wait(system, condition)
        numbers[3] += 1  # the lock is held again
        unlock(system, condition)
    else:
        notify_all(system, condition)


@serial_kernel
def sleep_late(system, numbers):
    """Take a lock and sleep 20 ms later."""
    lock(system, 0)
    fetch_increment(numbers, 0)
    end = now(system) + 20_000_000
    while now(system) < end:
        pass
    wait(system, 0)
    numbers[1] = 1
    unlock(system, 0)


@serial_kernel
def clocks(system, times):
    times[0], times[1] = now(system), own_time(system)


@pytest.fixture
def system():
    numbers = np.zeros(SYSTEM_NUMBERS, np.int64)
    write_system(numbers)
    use(numbers, np.zeros(4, np.int64), 0, 2)  # compiled before threads start
    return numbers


def threads_at(count, *args):
    threads = [threading.Thread(target=use, args=args, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_conditions_are_inside_the_array(system):
    """A thread that holds the array can rely on what it sleeps on."""
    places = system[CONDITIONS : CONDITIONS + 4] - system.ctypes.data
    assert places.min() >= 8 * (CONDITIONS + 4)
    assert np.diff(places).min() >= 64  # the most that any system needs for one
    assert places.max() + 64 <= system.nbytes


@pytest.mark.parametrize("condition", [0, 1])
def test_one_thread_at_a_time_holds_the_lock(system, condition):
    numbers = np.zeros(4, np.int64)
    for thread in threads_at(3, system, numbers, condition, 0):
        thread.join(20)
    assert numbers[0] == 6000


@pytest.mark.parametrize("condition", [0, 1])
def test_all_who_sleep_are_woken(system, condition):
    numbers = np.zeros(4, np.int64)
    sleepers = threads_at(3, system, numbers, condition, 1)
    wait_until(lambda: numbers[2] == 3)
    use(system, numbers, 1 - condition, 2)  # not theirs
    time.sleep(0.01)
    assert numbers[3] == 0
    numbers[1] = 1
    use(system, numbers, condition, 2)
    for thread in sleepers:
        thread.join(20)
    assert numbers[3] == 3


def test_a_thread_that_is_about_to_sleep_is_woken(system):
    """It has found nothing to do already, so it must not miss the notification."""
    numbers = np.zeros(2, np.int64)
    thread = threading.Thread(target=sleep_late, args=(system, numbers), daemon=True)
    thread.start()
    wait_until(lambda: numbers[0] == 1)
    use(system, numbers, 0, 2)
    thread.join(5)
    assert numbers[1] == 1


def test_clocks_are_pythons(system):
    times, before = np.zeros(2, np.int64), (time.monotonic_ns(), time.thread_time_ns())
    clocks(system, times)
    after = time.monotonic_ns(), time.thread_time_ns()
    assert before[0] <= times[0] <= after[0]
    assert before[1] <= times[1] <= after[1]


def test_a_system_without_such_clocks(system):
    system[TIME] = 0
    times = np.ones(2, np.int64)
    clocks(system, times)
    assert times.tolist() == [0, 0]

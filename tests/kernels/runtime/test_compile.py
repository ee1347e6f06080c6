"""What is compiled of a kernel, how it behaves, and what is kept on disk."""

import gc
import threading
import time

import numpy as np
import pytest
from numba.core.errors import TypingError
from numba.core.registry import CPUDispatcher

from pycaffe_lite.kernels.products import blocks
from pycaffe_lite.kernels.runtime.atomic import load
from pycaffe_lite.kernels.runtime.cache import KernelCache
from pycaffe_lite.kernels.runtime.decorators import kernel, serial_kernel, worker_kernel


@kernel
def halved(x):
    """x / 2, or infinity."""
    return x / 2


@kernel(inline="always")  # the flag is what is tested
def doubled(x):
    """2 x."""
    return 2 * x


def test_a_kernel_for_others_runs_as_python_when_python_calls_it():
    assert halved(3) == halved.py_func(3) == 1.5
    assert not halved.overloads  # nothing was compiled
    assert doubled.targetoptions["inline"] == "always"


def test_division_by_zero_is_infinite():
    @serial_kernel
    def quotient(a, b):
        return halved(a) / b

    assert quotient(1.0, 0.0) == np.inf


def test_one_version_for_all_constants():
    """Numba would compile `scaled` anew for each number in the code of `calls`."""

    @kernel
    def scaled(x, factor):
        return x * factor

    @serial_kernel
    def calls(x):
        return scaled(x, 2) + scaled(x, 3) + scaled(x, factor=4)

    assert calls(10) == 90
    assert len(scaled.overloads) == 1


def test_kernels_release_the_gil():
    """Python goes on while a kernel spins until it is told to end."""

    @serial_kernel
    def spin(flag):
        while load(flag, 0) == 0:
            flag[1] = 1

    flag = np.array([1, 0])
    spin(flag)
    flag[0] = 0
    thread = threading.Thread(target=spin, args=(flag,))
    thread.start()
    end = time.monotonic() + 20
    while flag[1] == 0 and time.monotonic() < end:
        time.sleep(0.001)
    flag[0] = 1
    thread.join(20)
    assert not thread.is_alive()


def test_only_kernels_of_the_package_are_kept_on_disk():
    assert isinstance(blocks.row_length._cache, KernelCache)
    assert isinstance(worker_kernel(blocks.pack_all.py_func).dispatcher._cache, KernelCache)
    assert not isinstance(halved._cache, KernelCache)


@pytest.mark.parametrize("collects", [False, True])
def test_the_garbage_collector_is_left_as_it_was(collects):
    @kernel
    def wrong(x):
        return x.there_is_no_such_thing

    @serial_kernel
    def calls(x):
        return wrong(x)

    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(TypingError):
            calls(1)
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()


def test_the_garbage_collector_is_off_while_numba_compiles(monkeypatch):
    states = []
    monkeypatch.setattr(CPUDispatcher, "compile", lambda dispatcher, signature: states.append(gc.isenabled()))
    before = gc.isenabled()
    try:
        gc.enable()
        serial_kernel(halved.py_func).compile("(int64,)")
    finally:
        (gc.enable if before else gc.disable)()
    assert states == [False]

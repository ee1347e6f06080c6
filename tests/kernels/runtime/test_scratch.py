"""Working memory: who shares it, and what is kept."""

import threading

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime import scratch as _scratch
from pycaffe_lite.kernels.runtime.memory import ALIGNMENT
from pycaffe_lite.kernels.runtime.scratch import no_memory, scratch, worker_memory, workers_for
from pycaffe_lite.kernels.runtime.steps import record

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)


def address(purpose="test", dtype=F32, count=100):
    array = scratch(purpose, dtype, count)
    assert (array.size, array.dtype) == (count, dtype)
    assert array.ctypes.data % ALIGNMENT == 0
    return array.ctypes.data


def test_a_thread_gets_the_same_memory_again():
    first = address()
    assert address() == first
    assert address(count=7) == first
    grown = scratch("test", F32, 5000)
    grown.fill(3)
    assert address(count=100) == grown.ctypes.data  # the larger array is kept


def test_purposes_and_types_have_memory_of_their_own():
    places = [address(), address("test 2"), address(dtype=F64)]
    assert len(set(places)) == 3


def test_threads_have_memory_of_their_own():
    places = [address()]
    thread = threading.Thread(target=lambda: places.append(address()))
    thread.start()
    thread.join()
    assert places[0] != places[1]


def test_very_much_memory_is_not_kept(monkeypatch):
    monkeypatch.setattr(_scratch, "MOST_KEPT", 1000)
    with record() as recording:
        assert scratch("large", F32, 1000) is not None
        assert "largef" in _scratch._kept.__dict__
        assert recording.whole
        scratch("larger", F32, 1001)
    assert "largerf" not in _scratch._kept.__dict__
    assert not recording.whole  # what was recorded would keep it


@pytest.mark.parametrize(("count", "columns"), [(1, 64), (64, 64), (65, 128)])
def test_no_two_workers_share_a_cache_line(count, columns):
    memory = worker_memory(F32, 3, count)
    assert memory.shape == (3, columns)
    assert all(row.ctypes.data % ALIGNMENT == 0 for row in memory)
    assert memory.strides[0] >= 4 * count


def test_how_many_workers(monkeypatch):
    monkeypatch.setattr(_scratch, "get_num_threads", lambda: 5)
    assert workers_for(8192) == 1
    assert workers_for(8193) == 5
    assert len(no_memory(F32)) == 5
    assert len(no_memory(F32, workers=2)) == 2

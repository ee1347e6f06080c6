import pytest

from pycaffe_lite import timer as module
from pycaffe_lite.timer import Timer


@pytest.fixture
def clock(monkeypatch):
    """Sets the time, in seconds."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_from_start_to_stop(clock):
    timer = Timer()
    assert timer.ms == 0
    clock(10)
    timer.start()
    clock(10.25)
    assert timer.ms == 250  # it still runs
    clock(10.5)
    timer.stop()
    clock(11)
    assert timer.ms == 500


def test_starting_and_stopping_twice(clock):
    timer = Timer()
    timer.start()
    clock(1)
    timer.start()
    clock(2)
    timer.stop()
    clock(3)
    timer.stop()
    assert timer.ms == 2000


def test_the_latest_run_counts(clock):
    timer = Timer()
    timer.start()
    clock(2)
    timer.stop()
    timer.start()
    clock(2.5)
    timer.stop()
    assert timer.ms == 500

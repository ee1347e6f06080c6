"""Timelines: each kernel of each thread, and nothing else changes."""

import threading
import time

import numpy as np
import pytest

from pycaffe_lite.kernels import Timeline, get_num_threads, record, set_num_threads
from pycaffe_lite.kernels.elementwise import PIECE
from pycaffe_lite.kernels.relu import forward


@pytest.fixture(params=[1, 3])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


def run(x, y):
    forward(x, np.float32(0.1), y)


def test_kernels_of_all_threads(threads):
    random = np.random.default_rng(0)
    x = random.normal(size=50 * PIECE).astype(np.float32)
    y, wanted = np.empty_like(x), np.where(x > 0, x, np.float32(0.1) * x)
    run(x, y)
    with record() as recording:
        recording.mark("first")
        run(x, y)
        recording.mark("second")
        run(x, y)
        run(x, y)
    y[:] = 0
    start = time.monotonic_ns()
    with Timeline() as timeline:
        recording.run()
        with timeline.span("alone"):
            run(x, y)
    end = time.monotonic_ns()
    recording.run()
    np.testing.assert_array_equal(y, wanted)
    kernels = [stretch for stretch in timeline.stretches if stretch.is_kernel]
    mine = [stretch for stretch in kernels if stretch.thread == threading.get_ident()]
    assert {stretch.what for stretch in kernels} == {"first", "second", "alone"}
    assert len({stretch.thread for stretch in kernels}) <= threads
    assert all(start <= stretch.start <= stretch.end <= end for stretch in kernels)
    for one in kernels:
        assert one.name.startswith("relu.")
        for other in kernels:  # no thread does two things at once
            if other is not one and other.thread == one.thread:
                assert one.end <= other.start or other.end <= one.start
    if threads == 1:
        assert [stretch.what for stretch in mine] == ["first", "second", "second", "alone"]
    (span,) = (stretch for stretch in timeline.stretches if not stretch.is_kernel)
    assert (span.name, span.what) == ("alone", "")
    for stretch in kernels:
        assert stretch.what != "alone" or span.start <= stretch.start <= stretch.end <= span.end


def test_several_threads_take_part():
    before = get_num_threads()
    set_num_threads(2)
    x = np.ones(400 * PIECE, np.float32)
    y = np.empty_like(x)
    run(x, y)
    seen = set()
    for _ in range(200):  # on a busy machine the team may rest for a while
        with Timeline() as timeline:
            run(x, y)
        seen |= {stretch.thread for stretch in timeline.stretches}
        if len(seen) == 2:
            break
        time.sleep(0.02)
    set_num_threads(before)
    assert len(seen) == 2


def test_forgotten_steps_take_their_marks_along():
    x = np.ones(4, np.float32)
    with record() as recording:
        recording.mark("kept")
        run(x, x)
        recording.mark("forgotten")
        run(x, x)
    recording.forget(1)
    assert recording.marks == [(0, "kept")]


def test_an_error_ends_the_looking():
    with pytest.raises(ZeroDivisionError), Timeline() as timeline, timeline.span("x"):
        raise ZeroDivisionError
    count = len(timeline.stretches)
    run(np.ones(4, np.float32), np.ones(4, np.float32))
    assert len(timeline.stretches) == count == 1


def test_kernels_of_other_threads_are_not_the_caller_s():
    x = np.ones(4, np.float32)
    run(x, x)
    with Timeline() as timeline, timeline.span("mine"):
        other = threading.Thread(target=run, args=(x, np.empty_like(x)))
        other.start()
        other.join()
    assert [stretch.what for stretch in timeline.stretches if stretch.is_kernel] == [""]

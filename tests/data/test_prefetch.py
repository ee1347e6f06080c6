import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest

from pycaffe_lite.data.prefetch import Prefetcher
from pycaffe_lite.errors import DataError


class Counter:
    """A source that writes 0, 1, 2, ... into its batches."""

    def __init__(self, fail_at=None):
        self.made = 0
        self.fail_at = fail_at

    def plan(self):
        if self.made == self.fail_at:
            raise DataError(f"no batch {self.made}")
        self.made += 1
        return CounterWork(self.made - 1)


class CounterWork:
    pieces = 1

    def __init__(self, number):
        self.state = b"%d" % number

    def run(self, piece, batch):
        pass

    def finish(self, batch):
        pass


def wait_until(condition):
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def thread_of(prefetcher):
    return prefetcher._line.threads[0]


def test_batches_are_made_when_they_are_needed():
    """So that a depth of billions costs nothing by itself."""
    prefetcher = Prefetcher(Counter(fail_at=3), 2**32 - 1, "test")
    assert [prefetcher.get().state for _ in range(3)] == [b"0", b"1", b"2"]
    prefetcher.close()


def test_batches_are_used_again():
    prefetcher = Prefetcher(Counter(), 2, "test")
    seen = set()
    for _ in range(20):
        batch = prefetcher.get()
        seen.add(id(batch))
        prefetcher.give_back(batch)
    prefetcher.close()
    assert len(seen) == 2


def test_batches_come_in_order_from_a_few_rooms():
    prefetcher = Prefetcher(Counter(), 3, "test")
    rooms = set()
    for i in range(20):
        batch = prefetcher.get()
        assert batch.state == b"%d" % i
        rooms.add(id(batch))
        prefetcher.give_back(batch)
    assert len(rooms) == 3
    prefetcher.close()


def test_no_more_than_depth_are_made_ahead():
    source = Counter()
    prefetcher = Prefetcher(source, 3, "test")
    assert wait_until(lambda: source.made == 3)
    time.sleep(0.05)
    assert source.made == 3
    prefetcher.give_back(prefetcher.get())
    assert wait_until(lambda: source.made == 4)
    prefetcher.close()


def test_close_ends_the_thread():
    prefetcher = Prefetcher(Counter(), 2, "data of layer 'x'")
    thread = thread_of(prefetcher)
    assert thread.daemon
    assert thread.name == "data of layer 'x'"
    prefetcher.close()
    assert not thread.is_alive()
    prefetcher.close()


@pytest.mark.parametrize("fail_at", [None, 1])
def test_the_thread_ends_with_its_owner(fail_at):
    class Owner:
        pass

    owner = Owner()
    owner.prefetcher = Prefetcher(Counter(fail_at), 2, "test")
    thread, source = thread_of(owner.prefetcher), weakref.ref(owner.prefetcher._line._source)
    owner.itself = owner  # only the garbage collector finds it
    owner.prefetcher.get()
    if fail_at:
        with pytest.raises(DataError):
            owner.prefetcher.get()
    del owner
    gc.collect()
    assert wait_until(lambda: not thread.is_alive())
    assert wait_until(lambda: gc.collect() >= 0 and source() is None)


def test_errors_reach_the_consumer_after_the_batches_before():
    prefetcher = Prefetcher(Counter(fail_at=2), 4, "test")
    assert [prefetcher.get().state for _ in range(2)] == [b"0", b"1"]
    for _ in range(3):
        with pytest.raises(DataError, match=r"^no batch 2$"):
            prefetcher.get()
    assert wait_until(lambda: not thread_of(prefetcher).is_alive())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_is_told(recwarn):
    prefetcher = Prefetcher(Counter(), 2, "test")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            prefetcher.get()
        except DataError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000).decode() == (
        "reads its data in a thread that a forked process does not have: "
        "make the net in the process that runs it"
    )
    prefetcher.close()


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_processes_end_in_silence_while_it_works(ending, tmp_path):
    code = f"""
import sys, time
from pycaffe_lite.data.prefetch import Prefetcher
class Slow:
    pieces, state = 9, b""
    def plan(self):
        return self
    def run(self, piece, batch):
        time.sleep(0.02)
        sum(range(20000))
    def finish(self, batch):
        pass
prefetcher = Prefetcher(Slow(), 100, "test", threads=3)
prefetcher.get()
{ending}
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - start < 30
    assert done.stdout == ""
    if "raise" not in ending:
        assert done.stderr == ""
        assert done.returncode == (3 if ending else 0)
    else:
        assert done.stderr.count("Traceback") == 1
        assert "threading" not in done.stderr


# -------------------------------------------------------------------------------------------- several threads


class Letters:
    """Batches of the letters of words, a piece each; some are slow, some fail."""

    def __init__(self, fail_at=()):
        self.planned = 0
        self.fail_at = fail_at
        self.threads = set()
        self.planning = threading.Lock()

    def plan(self):
        assert self.planning.acquire(blocking=False)  # by one thread at a time
        time.sleep(0.001)
        self.planned += 1
        self.planning.release()
        return LettersWork(self, self.planned - 1)


class LettersWork:
    pieces = 5

    def __init__(self, source, number):
        self.source, self.number = source, number
        self.state = b"%d" % number
        self.done = []

    def run(self, piece, batch):
        self.source.threads.add(threading.get_ident())
        time.sleep(0.003 if piece == 0 else 0.001)
        if (self.number, piece) in self.source.fail_at:
            raise DataError(f"no piece {piece} of {self.number}")
        self.done.append(piece)

    def finish(self, batch):
        assert sorted(self.done) == list(range(5))
        batch.letters = self.number


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("depth", [1, 3])
def test_batches_are_whole_and_in_order(threads, depth):
    source = Letters()
    prefetcher = Prefetcher(source, depth, "test", threads)
    for i in range(12):
        batch = prefetcher.get()
        assert (batch.letters, batch.state) == (i, b"%d" % i)
        prefetcher.give_back(batch)
    prefetcher.close()
    assert (len(source.threads) > 1) == (threads > 1)
    assert len(prefetcher._line.threads) <= threads


def test_threads_are_started_where_there_is_work_only():
    prefetcher = Prefetcher(Counter(), 4, "test", 7)
    for _ in range(50):
        prefetcher.give_back(prefetcher.get())
    assert len(prefetcher._line.threads) == 1
    prefetcher.close()


@pytest.mark.parametrize("threads", [1, 7])
def test_the_first_error_in_order_is_raised(threads):
    """Also where a later one is found sooner."""
    for _ in range(5):
        prefetcher = Prefetcher(Letters({(2, 0), (2, 3), (3, 1)}), 4, "test", threads)
        assert [prefetcher.get().letters for _ in range(2)] == [0, 1]
        with pytest.raises(DataError, match=r"^no piece 0 of 2$"):
            prefetcher.get()
        for thread in prefetcher._line.threads:
            thread.join(5)
            assert not thread.is_alive()


def test_as_many_threads_as_the_system_gives(monkeypatch):
    start = threading.Thread.start
    started = []

    def refuse(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    prefetcher = Prefetcher(Letters(), 3, "test", 7)
    for i in range(6):
        batch = prefetcher.get()
        assert batch.letters == i
        prefetcher.give_back(batch)
    prefetcher.close()


def test_waiting_is_measured():
    prefetcher = Prefetcher(Letters(), 2, "test")
    prefetcher.get()
    waited = prefetcher.seconds_waited
    assert 0.003 < waited < 5
    time.sleep(0.1)
    prefetcher.get()
    assert prefetcher.seconds_waited < waited + 0.05
    prefetcher.close()


def test_no_thread_is_left_over():
    assert not [thread for thread in threading.enumerate() if thread.name == "test" and not gc.collect()]

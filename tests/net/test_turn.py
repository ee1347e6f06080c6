import copy
import os
import pickle
import threading

import pytest

from pycaffe_lite.net.turn import Turn


def is_free(turn):
    """Whether another thread could take the turn."""
    found = []

    def take():
        found.append(turn.lock.acquire(blocking=False))
        if found[0]:
            turn.lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return found[0]


def test_one_thread_at_a_time_which_may_take_it_again():
    turn = Turn()
    with turn.lock, turn.lock:
        assert not is_free(turn)
    assert is_free(turn)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda turn: pickle.loads(pickle.dumps(turn))])
def test_a_copy_has_a_lock_of_its_own(copied):
    turn = Turn()
    with turn.lock:
        assert is_free(copied(turn))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_finds_it_free():
    turn = Turn()
    taken, done = threading.Event(), threading.Event()

    def hold():
        with turn.lock:
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        child = os.fork()
        if not child:
            os._exit(0 if turn.lock.acquire(blocking=False) else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()

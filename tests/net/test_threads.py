"""Nets in several of Python's threads: each computes, bit for bit, what one thread alone would."""

import copy
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import nets_in_threads
import numpy as np
import pytest
from nets_in_threads import NETS, build_and_train, net_of, train

import pycaffe_lite as caffe
from pycaffe_lite import random

THREADS = 4


@pytest.fixture(autouse=True)
def _count():
    """Puts the number of threads and the random stream back."""
    count, state = caffe.get_num_threads(), random.stream().state()
    yield
    caffe.set_num_threads(count)
    random.stream().set_state(state)


@pytest.fixture(scope="module")
def alone():
    """What one thread gives, by name."""
    return {name: build_and_train(name) for name in NETS}


@contextmanager
def meanwhile(work):
    """Another thread does some work again and again, at least once."""
    ended, began = threading.Event(), threading.Event()

    def repeat():
        while not ended.is_set():
            work()
            began.set()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(repeat)
        try:
            began.wait()
            yield
        finally:
            ended.set()
    future.result()


@pytest.mark.parametrize("names", [list(NETS), ["lenet"] * 8], ids=["different", "equal"])
def test_first_passes_at_once(alone, names):
    """In a process that has run nothing yet, where code is still loaded or compiled."""
    command = [sys.executable, "-X", "faulthandler", nets_in_threads.__file__, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} {alone[name]}" for name in names]


def test_built_in_one_thread_and_run_in_others(alone):
    for name in NETS:
        caffe.set_random_seed(7)
        net = net_of(name)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(train, net).result() == alone[name]


def test_several_threads_go_on_with_one_net():
    """One after another; each begins with what the last one has recorded."""
    net = net_of("sum", caffe.TEST)
    right = net.forward()["o"].copy()
    for _ in range(3):
        with ThreadPoolExecutor(1) as pool:
            for _ in range(3):
                assert np.array_equal(pool.submit(net.forward).result()["o"], right)


def test_forward_while_others_build_and_train(alone):
    net = net_of("lenet", caffe.TEST)
    right = net.forward()["l"].copy()
    names = iter(list(NETS) * 1000)
    trained = []

    def work():
        name = next(names)
        trained.append((name, build_and_train(name)))

    with meanwhile(work), meanwhile(work):
        while len(trained) < 2 * len(NETS):
            assert np.array_equal(net.forward()["l"], right)
    assert all(alone[name] == digest for name, digest in trained)


def test_number_of_threads_set_by_another(alone):
    counts = iter(range(10**9))
    with meanwhile(lambda: caffe.set_num_threads(1 + next(counts) % 3)):
        for name in NETS:
            for _ in range(5):
                assert build_and_train(name) == alone[name]


IN_PLACE = """
layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: 'xavier' } } }
layer { name: 'p' type: 'Power' bottom: 'c' top: 'c' power_param { scale: 3 shift: 1 } }
layer { name: 's' type: 'Scale' bottom: 'c' top: 'c' }
layer { name: 'q' type: 'Power' bottom: 'c' top: 'c' power_param { power: 2 } }
layer { name: 'r' type: 'ReLU' bottom: 'c' top: 'r' }
"""


def test_passes_through_one_net_come_one_after_another(monkeypatch):
    """Layers in place would otherwise work twice on what another thread's pass has left."""
    monkeypatch.setitem(NETS, "in place", ({"x": (2, 3, 40, 40)}, IN_PLACE))
    net = net_of("in place", caffe.TEST)
    right = net.forward()["r"].copy()

    def work(_):
        return all(np.array_equal(net.forward()["r"], right) for _ in range(25))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(before)


def test_a_callback_may_run_the_net_that_it_watches():
    net = net_of("sum", caffe.TEST)
    net.after_forward(lambda i: net.reshape())
    net.forward()
    assert net.forward_loss() != 0


def test_a_copy_has_a_turn_of_its_own():
    net = net_of("sum", caffe.TEST)
    right = net.forward()["o"].copy()
    twin = copy.deepcopy(net)
    with net._turn.lock, ThreadPoolExecutor(1) as pool:
        assert np.array_equal(pool.submit(twin.forward).result(timeout=20)["o"], right)


def test_shared_weights_in_several_threads():
    first, *others = nets = [net_of("sum", caffe.TEST) for _ in range(THREADS)]
    for net in others:
        net.share_with(first)
    right = first.forward()["o"].copy()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(10):
            for out in pool.map(lambda net: net.forward()["o"].copy(), nets):
                assert np.array_equal(out, right)


END = """
import sys, threading, time
import nets_in_threads
import pycaffe_lite as caffe

def run(name):
    net = nets_in_threads.net_of(name, caffe.TEST)
    while True:
        net.forward()

for name in list(nets_in_threads.NETS)[:4]:
    threading.Thread(target=run, args=(name,), daemon=True).start()
time.sleep(1)
sys.exit(3)
"""


def test_the_program_may_end_while_daemon_threads_run_nets():
    path = str(Path(nets_in_threads.__file__).parent)
    command = [sys.executable, "-X", "faulthandler", "-c", f"import sys; sys.path.insert(0, {path!r})\n{END}"]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 3, done.stderr

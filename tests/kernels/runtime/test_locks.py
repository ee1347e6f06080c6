"""Several of Python's threads that call kernels for the first time at once; forks meanwhile."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from llvmlite import ir

from pycaffe_lite.kernels.runtime import llvm, locks
from pycaffe_lite.kernels.simd.tables import function_table

FIRST_CALLS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from pycaffe_lite.kernels import hinge_loss, relu
from pycaffe_lite.kernels.simd.tiles import tile_table

start = threading.Barrier(8)
sys.setswitchinterval(1e-5)

def work(_):
    start.wait()
    x = np.linspace(-1, 1, 20_000, dtype=np.float32)
    relu.forward(x, 0.0, x)
    return tile_table(x.dtype).tobytes(), x.tobytes(), hinge_loss.forward(np.ones((1, 3)), np.zeros(1), False)

with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(work, range(8)))))
"""
FORKS = """
import os, signal, threading
import numpy as np
import pycaffe_lite as caffe
from pycaffe_lite.kernels import hinge_loss
from pycaffe_lite.kernels.runtime.locks import compiler_lock
from nets_in_threads import net_of

def child_ends_with(right):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if right() else 1)
    return os.waitpid(child, 0)[1]

held, ended = threading.Event(), threading.Event()

def compile_for_a_while():
    with compiler_lock:
        held.set()
        ended.wait(0.2)

thread = threading.Thread(target=compile_for_a_while)
thread.start()
held.wait()
print(child_ends_with(lambda: hinge_loss.forward(np.zeros((1, 3)), np.zeros(1), False) == 3))
thread.join()

caffe.set_num_threads(2)
net = net_of("local", caffe.TEST)
right = net.forward()["m"].tobytes()

def run():
    while not ended.is_set():
        net.forward()

thread = threading.Thread(target=run)
thread.start()
for _ in range(20):
    print(child_ends_with(lambda: net.forward()["m"].tobytes() == right))
ended.set()
thread.join()
"""
ONE_POOL = """
import sys
from nets_in_threads import NETS, build_and_train, in_threads
import pycaffe_lite as caffe

caffe.set_num_threads(3)
names = ["local", "sum", "lstm"] * 2
sys.setswitchinterval(1e-5)
print(in_threads(names) == [build_and_train(name) for name in names])
"""


def run(script, **variables):
    """What a process prints that runs a script."""
    folders = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": folders, "PYTHONWARNINGS": "ignore", **variables}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_nothing_compiled_yet(tmp_path):
    assert run(FIRST_CALLS, PYCAFFE_LITE_CACHE_DIR=str(tmp_path)) == ["1"]


def test_code_that_several_threads_ask_for_is_made_once(monkeypatch):
    monkeypatch.setattr(llvm, "load_file", lambda name, target: None)
    monkeypatch.setattr(llvm, "save_file", lambda name, target, code: None)
    monkeypatch.setattr(llvm, "_engines", {}, raising=False)
    made = []

    def write(module, name, _dtype):
        made.append(name)
        time.sleep(0.05)  # long enough for the others to come
        ir.IRBuilder(
            ir.Function(module, ir.FunctionType(ir.VoidType(), []), name).append_basic_block()
        ).ret_void()

    functions = {"nothing": (0, write, ())}
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda _: function_table("test", np.float32, functions, 1), range(4)))
    assert made == ["nothing"]
    assert len({int(table[0]) for table in tables}) == 1


def test_the_pool_that_bears_one_caller():
    """Numba's own pool ends the process where two threads are in it at once."""
    assert run(ONE_POOL, NUMBA_THREADING_LAYER="workqueue") == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forks_while_other_threads_hold_locks():
    assert run(FORKS, NUMBA_THREADING_LAYER="workqueue") == ["0"] * 21


def free_for_others(lock):
    """Whether another thread gets the lock at once."""
    with ThreadPoolExecutor(1) as pool:

        def take():
            taken = lock.acquire(blocking=False)
            if taken:
                lock.release()
            return taken

        return pool.submit(take).result()


@pytest.mark.parametrize("side", ["parent", "child"])
def test_a_fork_holds_a_lock_of_the_process_while_it_makes_the_child(monkeypatch, side):
    hooks = {}
    monkeypatch.setattr(os, "register_at_fork", hooks.update, raising=False)
    lock = locks.lock_of_process()
    hooks["before"]()
    assert not free_for_others(lock)
    hooks[f"after_in_{side}"]()
    assert free_for_others(lock)


def test_a_lock_of_the_process_may_be_taken_again():
    lock = locks.lock_of_process()
    with lock, lock:
        assert not free_for_others(lock)
    assert free_for_others(lock)


FORK_TAKES = """
import os
register, taken = os.register_at_fork, []

def remember(**hooks):
    taken.insert(0, id(getattr(hooks.get("before"), "__self__", None)))
    register(**hooks)

os.register_at_fork = remember
from pycaffe_lite import random
from pycaffe_lite.kernels.runtime import locks

order = [random._process_lock, locks.single_entry, locks.team_start, locks.compiler_lock]
order += [locks.llvm_ffi.lib._lock._lock, locks.pool_start]
print(*(taken.index(id(lock)) for lock in order))
"""


def test_a_fork_takes_the_locks_in_their_order():
    """Else it would wait for a thread that waits for the fork."""
    places = [int(place) for place in run(FORK_TAKES)]
    assert len(places) == 6
    assert places == sorted(places)

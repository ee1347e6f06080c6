"""The decorators: how what they make is called, and how workers share out their tasks."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import prange

from pycaffe_lite.kernels.runtime import decorators as _decorators
from pycaffe_lite.kernels.runtime import locks
from pycaffe_lite.kernels.runtime.decorators import kernel, parallel_kernel, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.team import ASIDE, REST_END, RESTING, Team


@kernel
def halved(x):
    """x / 2, or infinity."""
    return x / 2


@kernel(inline="always")  # the flag is what is tested
def doubled(x):
    """2 x."""
    return 2 * x


@parallel_kernel
def scaled(x, factor, y):
    """y[i] = factor * x[i] / 2."""
    for i in prange(x.size):
        y[i] = doubled(halved(x[i])) * factor / 2


def test_kernels_call_each_other():
    y = np.empty(1000, np.float32)
    scaled(np.arange(1000, dtype=np.float32), np.float32(4), y)
    assert np.array_equal(y, 2 * np.arange(1000))


def test_python_function_stays_reachable():
    y = np.empty(3)
    scaled.py_func(np.ones(3), 4, y)
    assert np.array_equal(y, [2, 2, 2])
    assert halved.py_func(3) == halved(3) == 1.5
    assert scaled.__name__ == "scaled"
    assert scaled.__doc__ == "y[i] = factor * x[i] / 2."


class Watched:
    """Stands for a compiled function, and keeps how things are while it runs."""

    def __init__(self, team):
        self.team = team
        self.seen = []

    def __call__(self, *args):
        self.seen.append((bool(self.team.state[ASIDE]), locks.single_entry._is_owned()))


@pytest.fixture
def loops(monkeypatch):
    """A parallel kernel whose loops are `Watched`, the threads that they were to get, and the account."""
    team, counts, entries = Team(2), [], []
    watched = parallel_kernel(scaled.py_func)
    watched.dispatcher = Watched(team)
    layer = SimpleNamespace(name="omp")

    def enter(count):
        counts.append(count)
        return layer.name

    monkeypatch.setattr(_decorators, "team_of", lambda members: team)
    monkeypatch.setattr(_decorators, "enter_parallel", enter)
    monkeypatch.setattr(team, "settle_loop", lambda wall, own: entries.append((wall, own)))
    return SimpleNamespace(run=watched, team=team, layer=layer, counts=counts, entries=entries)


@pytest.mark.parametrize(("layer", "turns"), [("omp", False), ("tbb", False), ("workqueue", True)])
def test_loops_have_the_cores_and_take_turns_if_the_layer_needs_it(loops, layer, turns):
    loops.layer.name = layer
    loops.run()
    assert loops.run.dispatcher.seen == [(True, turns)]
    assert not loops.team.state[ASIDE]
    assert not locks.single_entry._is_owned()


def test_loops_get_all_threads_and_count(loops):
    loops.run()
    assert loops.counts == [2]
    ((wall, own),) = loops.entries
    assert wall > 0
    assert own >= 0


def test_loops_run_alone_while_the_team_rests(loops):
    loops.team.state[[RESTING, REST_END]] = 1, 1 << 62
    loops.run()
    assert loops.counts == [1]
    assert not loops.entries


@worker_kernel
def listed(count, owners, order, tasks, memory):
    """Each task that a worker takes: which worker it was, and how many it had taken before."""
    done = 0
    task = take_task(tasks, count)
    while task < count:
        owners[task], order[task] = memory[0], done
        done += 1
        task = take_task(tasks, count)


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_workers_take_every_task_once_and_their_own_share_first(workers, count, dtype):
    memory = np.arange(workers, dtype=dtype).reshape(workers, 1)
    owners, order = np.full(count, -1), np.full(count, -1)
    listed(memory, count, owners, order)
    assert np.all(owners >= 0)
    for worker in range(workers):
        taken = order[owners == worker]
        assert np.array_equal(np.sort(taken), np.arange(taken.size))
        share = range(worker * count // workers, (worker + 1) * count // workers)
        own = [order[task] for task in share if owners[task] == worker]
        assert own == list(range(len(own)))


@worker_kernel
def shown(out, tasks, memory):
    """out[0] = the second number of the memory."""
    if take_task(tasks, 1) == 0:
        out[0] = memory[1]


def test_memory_of_each_type_has_code_of_its_own():
    out = np.zeros(1)
    for dtype in (np.float32, np.float64, np.float32):
        shown(np.array([[0, 0.1]], dtype), out)
        assert out[0] == dtype(0.1)

"""The team: members that are there share the work, and a team that costs more than it brings rests."""

import _thread
import ctypes
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.runtime import team as _team
from pycaffe_lite.kernels.runtime.atomic import fetch_increment, load
from pycaffe_lite.kernels.runtime.decorators import (
    get_num_threads,
    parallel_kernel,
    set_num_threads,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.steps import _arguments, record
from pycaffe_lite.kernels.runtime.system import CONDITIONS
from pycaffe_lite.kernels.runtime.team import (
    ACCOUNT,
    FIRST_CREDIT,
    LONGEST_REST,
    MOST_SAVED,
    PATIENCE,
    POSITION,
    REST_END,
    RESTING,
    WAITED,
    Team,
    follow,
    lead,
    settle,
    team_of,
)

FAR = 1 << 62
usleep = ctypes.CDLL(None).usleep
usleep.argtypes = [ctypes.c_uint]


@worker_kernel
def doubled(x, tasks, _memory):
    """Doubles each number."""
    task = take_task(tasks, x.size)
    while task < x.size:
        x[task] *= 2
        task = take_task(tasks, x.size)


@worker_kernel
def who(done, came, together, tasks, _memory):
    """done[task] = worker. Each worker counts itself first; with `together`, it also waits for the other."""
    fetch_increment(came, tasks.worker)
    while together and (load(came, 0) == 0 or load(came, 1) == 0):
        pass
    task = take_task(tasks, done.size)
    while task < done.size:
        done[task] = tasks.worker
        task = take_task(tasks, done.size)


@worker_kernel
def held(done, count, tasks, _memory):
    """As `who`, but worker 1 does not finish its first task until the others have done all the rest."""
    task = take_task(tasks, done.size)
    fetch_increment(count, 1)
    while load(count, 1) < 2:
        pass
    while task < done.size:
        done[task] = tasks.worker
        while tasks.worker == 1 and load(count, 0) < done.size - 1:
            pass
        fetch_increment(count, 0)
        task = take_task(tasks, done.size)


@worker_kernel
def loses_core(count, tasks, _memory):
    """Worker 1 sleeps during its task, as if other programs had its core."""
    task = take_task(tasks, 2)
    fetch_increment(count, 0)
    while load(count, 0) < 2:
        pass
    if task < 2 and tasks.worker == 1:
        usleep(40_000)


@worker_kernel
def lingers(came, tasks, _memory):
    """Each worker counts itself and leaves the others time to come."""
    fetch_increment(came, tasks.worker)
    take_task(tasks, 2)
    usleep(20_000)


@parallel_kernel
def threads_of(counts):
    """counts[i] = Numba's number of threads."""
    for i in numba.prange(counts.size):
        counts[i] = numba.get_num_threads()


@pytest.fixture
def team():
    """The process's team, with two members and nothing on its account."""
    before = get_num_threads()
    set_num_threads(2)
    team = team_of(2)
    team.state[[RESTING, ACCOUNT, WAITED]] = 0, FIRST_CREDIT, 0
    yield team
    team.state[[RESTING, ACCOUNT, WAITED]] = 0, FIRST_CREDIT, 0
    set_num_threads(before)


def memory(workers=2):
    return np.empty((workers, 1), np.float32)


def job(steps):
    """What `lead` gets besides the team, for the steps of a recording."""
    return _arguments(steps._room, steps._rows[: len(steps)])


def wait_until(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("members", [1, 2, 5])
def test_members_that_never_come(members):
    x = np.ones(10, np.float32)
    with record() as steps:
        for _ in range(4):
            doubled(memory(members), x)
    x[:] = 1
    lead(Team(members).state, *job(steps))  # it has not been started
    assert (x == 16).all()


def test_a_member_comes_between_two_jobs():
    late = Team(2)
    x = np.ones(10, np.float32)
    with record() as steps:
        doubled(memory(), x)
    lead(late.state, *job(steps))
    late.start()
    done, came = np.full(50, -1), np.zeros(2, np.int64)
    with record() as steps:
        who(memory(), done, came, False)
    while came[1] == 0:
        lead(late.state, *job(steps))
    late.end()


@pytest.mark.usefixtures("team")
def test_no_more_members_take_part_than_have_memory():
    set_num_threads(3)
    came = np.zeros(3, np.int64)
    for _ in range(3):
        lingers(memory(2), came)
    assert came[0] > 0
    assert came[2] == 0


def test_others_do_what_a_member_has_not_begun(team):
    done, count = np.full(100, -1), np.zeros(2, np.int64)
    held(memory(), done, count)
    assert sorted(done.tolist()) == [0] * 99 + [1]
    assert team.state[POSITION] % 2 == 1


def test_a_member_that_loses_its_core_makes_the_team_rest_and_it_comes_back(team):
    team.state[ACCOUNT] = 0
    loses_core(memory(), np.zeros(1, np.int64))
    done, came = np.full(1000, -1), np.zeros(2, np.int64)
    doubled(memory(), np.ones(1, np.float32))  # looks at what was waited for
    assert team.is_resting()
    team.state[REST_END] = FAR
    who(memory(), done, came, False)
    assert came.tolist() == [1, 0]
    team.state[REST_END] = came[0] = 0
    who(memory(), done, came, True)
    assert came.tolist() == [1, 1]
    assert not team.is_resting()


def test_the_account():
    state = Team(2).state
    state[ACCOUNT] = 0
    settle(state, 1000, 200, 5)
    assert (state[ACCOUNT], state[RESTING]) == (800, 0)
    settle(state, 10 * MOST_SAVED, 0, 5)
    assert (state[ACCOUNT], state[RESTING]) == (MOST_SAVED, 0)
    settle(state, 0, MOST_SAVED + 300, 5)
    assert (state[ACCOUNT], state[RESTING]) == (FIRST_CREDIT, 1)
    assert state[REST_END] == 5 + PATIENCE * (FIRST_CREDIT + 300)
    settle(state, 0, 10**12, 5)
    assert state[REST_END] == 5 + LONGEST_REST


def test_parallel_kernels_rest_with_the_team(team):
    counts = np.zeros(1, np.int64)
    team.state[[RESTING, REST_END]] = 1, FAR
    threads_of(counts)
    assert counts[0] == 1
    team.state[REST_END] = 0
    threads_of(counts)
    assert counts[0] == 2


def test_loops_of_numba_count(team):
    team.state[ACCOUNT] = 0
    team.settle_loop(1_010_000, 1_000_000)  # a moment: not counted
    assert team.state[ACCOUNT] == 0
    team.settle_loop(1_200_000, 1_000_000)
    assert team.state[ACCOUNT] == 800_000
    team.settle_loop(9_000_000, 1_000_000)
    assert team.is_resting()


def test_results_do_not_depend_on_who_comes(team):
    random = np.random.RandomState(1)
    a, b = (random.rand(150, 150).astype(np.float32) for _ in range(2))
    together, alone = np.empty_like(a), np.empty_like(a)
    gemm(a, b, together)
    team.state[[RESTING, REST_END]] = 1, FAR
    gemm(a, b, alone)
    assert np.array_equal(together, alone)


def test_one_thread_gets_the_team_and_the_others_work_alone(team):
    """All at once, in many steps; nobody works at another's job."""
    failed = []

    def run(seed):
        x = np.full(5000, seed, np.float32)
        with record() as steps:
            for _ in range(20):
                doubled(memory(), x)
        for _ in range(20):
            x[:] = seed
            steps.run()
            if not (x == seed * 2.0**20).all():
                failed.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert team.state[POSITION] % 2 == 1


def test_members_go_when_the_team_gets_another_size(team):
    before = _thread._count()
    set_num_threads(4)
    x = np.ones(10, np.float32)
    doubled(memory(4), x)
    wait_until(lambda: _thread._count() == before + 2)
    set_num_threads(2)
    doubled(memory(), x)
    wait_until(lambda: _thread._count() == before)


def test_what_members_sleep_on_is_in_the_array_that_they_hold():
    """Their team may be gone before they have woken up."""
    state = Team(5).state
    places = state[CONDITIONS : CONDITIONS + 4] - state.ctypes.data
    assert places.min() >= 0
    assert places.max() + 64 <= state.nbytes


def test_several_threads_change_the_size_of_the_team():
    """What fails here for a second fails in tests/long/team_churn.py for minutes."""
    script = Path(__file__).parents[2] / "long" / "team_churn.py"
    environment = {**os.environ, "MALLOC_PERTURB_": "165"}
    command = [sys.executable, str(script), "resize", "0", "0.5"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    counts = dict(word.split("=") for word in done.stdout.split())
    assert counts["wrong"] == "0"
    assert int(counts["sizes"]) > 10


def test_a_team_with_fewer_threads_than_were_asked_for(monkeypatch):
    def no_more(*_args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_team._thread, "start_new_thread", no_more)
    small = Team(3)
    small.start()
    x = np.ones(10, np.float32)
    with record() as steps:
        doubled(memory(3), x)
    lead(small.state, *job(steps))
    assert (x == 4).all()


def test_a_team_that_is_ended_lets_its_members_go():
    short = Team(2)
    member = threading.Thread(target=follow, args=(short.state, 1))
    member.start()
    short.end()
    member.join(20)
    assert not member.is_alive()

"""The team: who is there shares the work, nobody waits for the rest, and a team that costs too much rests."""

import _thread
import ctypes
import threading
import time

import numba
import numpy as np
import pytest

from pycaffe_lite.kernels.gemm import gemm
from pycaffe_lite.kernels.runtime import team as _team
from pycaffe_lite.kernels.runtime.atomic import count_up, read
from pycaffe_lite.kernels.runtime.decorators import (
    get_num_threads,
    parallel_kernel,
    set_num_threads,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.steps import _arguments, record
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
    """done[task] = worker, each of whom says that he came; or waits for the other before he begins."""
    count_up(came, tasks.worker)
    while together and (read(came, 0) == 0 or read(came, 1) == 0):
        pass
    task = take_task(tasks, done.size)
    while task < done.size:
        done[task] = tasks.worker
        task = take_task(tasks, done.size)


@worker_kernel
def held(done, count, tasks, _memory):
    """As `who`; each worker takes a task, and worker 1 holds his until the others are done with the rest."""
    task = take_task(tasks, done.size)
    count_up(count, 1)
    while read(count, 1) < 2:
        pass
    while task < done.size:
        done[task] = tasks.worker
        while tasks.worker == 1 and read(count, 0) < done.size - 1:
            pass
        count_up(count, 0)
        task = take_task(tasks, done.size)


@worker_kernel
def loses_core(count, tasks, _memory):
    """Worker 1 sleeps at his task, as if other programs had his core."""
    task = take_task(tasks, 2)
    count_up(count, 0)
    while read(count, 0) < 2:
        pass
    if task < 2 and tasks.worker == 1:
        usleep(40_000)


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
def test_members_who_never_come(members):
    x = np.ones(10, np.float32)
    with record() as steps:
        for _ in range(4):
            doubled(memory(members), x)
    x[:] = 1
    lead(Team(members).state, *job(steps))  # nobody has started it
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


def test_others_do_what_a_member_has_not_begun(team):
    done, count = np.full(100, -1), np.zeros(2, np.int64)
    held(memory(), done, count)
    assert sorted(done.tolist()) == [0] * 99 + [1]
    assert team.state[POSITION] % 2 == 1


def test_a_member_who_loses_his_core_makes_the_team_rest_and_it_comes_back(team):
    team.state[ACCOUNT] = 0
    loses_core(memory(), np.zeros(1, np.int64))
    done, came = np.full(1000, -1), np.zeros(2, np.int64)
    doubled(memory(), np.ones(1, np.float32))  # looks at what was waited for
    assert team.is_resting()
    team.state[REST_END] = FAR
    who(memory(), done, came, False)
    assert came.tolist() == [1, 0]
    team.state[REST_END] = 0
    who(memory(), done, came, True)
    assert came.tolist() == [2, 1]
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


def test_members_of_many_teams_that_nobody_else_holds(team):
    """What they sleep on is theirs as long as they need it."""
    x = np.ones(10, np.float32)
    for members in (2, 3) * 30:
        set_num_threads(members)
        doubled(memory(members), x)
        x[:] = 1
        np.zeros(1000)  # takes memory that was freed
    set_num_threads(2)
    doubled(memory(), x)
    assert (x == 2).all()


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

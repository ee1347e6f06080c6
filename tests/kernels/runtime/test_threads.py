"""Thread counts, and processes that were forked."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

from pycaffe_lite.errors import KernelError
from pycaffe_lite.kernels import relu
from pycaffe_lite.kernels.runtime import team as _team
from pycaffe_lite.kernels.runtime import threads as _threads
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, parallel_kernel, set_num_threads

FORKED = (
    "this process was forked after its parent had run kernels on OpenMP threads, which do not survive a fork;"
    " use multiprocessing.get_context('spawn') or set NUMBA_THREADING_LAYER=workqueue"
)
CHILDREN = """
import multiprocessing, sys
import numpy as np
from pycaffe_lite.errors import KernelError
from numba import prange
from pycaffe_lite.kernels.runtime.decorators import parallel_kernel
from pycaffe_lite.kernels.gemm import gemm

@parallel_kernel
def halves(y):
    for i in prange(y.size):
        y[i] = 0.5

def product():
    a, c = np.ones((3, 5), np.float32), np.empty((3, 3), np.float32)
    gemm(a, a, c, trans_b=True)
    return c.tolist()

def loop():
    y = np.empty(2, np.float32)
    try:
        halves(y)
    except KernelError as error:
        return str(error)
    return y.tolist()

if __name__ == "__main__":
    print(product(), loop())
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(pool.apply(product))
        print(pool.apply(loop))
"""


@pytest.fixture
def count():
    """Puts the number of threads back."""
    before = get_num_threads()
    yield
    set_num_threads(before)


@parallel_kernel
def threads_of(counts):
    """counts[i] = Numba's number of threads."""
    for i in numba.prange(counts.size):
        counts[i] = numba.get_num_threads()


@pytest.fixture
def eager(monkeypatch):
    """A team that never rests, however busy the machine is."""
    monkeypatch.setattr(_team.Team, "is_resting", lambda team: False)


@pytest.mark.usefixtures("count", "eager")
def test_parallel_kernels_use_the_count_that_was_set():
    counts = np.zeros(1, np.int64)
    for wanted in (1, 3, 5, 2):  # more than there are cores, too
        set_num_threads(wanted)
        assert get_num_threads() == wanted
        threads_of(counts)
        assert counts[0] == wanted


@pytest.mark.usefixtures("count", "eager")
def test_count_holds_in_every_thread():
    set_num_threads(2)

    def ask(_):
        counts = np.zeros(1, np.int64)
        threads_of(counts)
        return counts[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == [2] * 8


@pytest.mark.parametrize("count", [-1, 0, 1025, 10**9])
def test_counts_out_of_range(count):
    before = get_num_threads()
    with pytest.raises(KernelError) as caught:
        set_num_threads(count)
    assert str(caught.value) == f"the number of threads must be from 1 to 1024, got {count}"
    assert get_num_threads() == before


def test_default_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("PYCAFFE_LITE_THREADS", "7")
    assert _threads._default_count() == 7
    for wrong in ("all", "0", "-2", "1025", "2.5", "²"):
        monkeypatch.setenv("PYCAFFE_LITE_THREADS", wrong)
        with pytest.raises(KernelError) as caught:
            _threads._default_count()
        assert (
            str(caught.value) == f"PYCAFFE_LITE_THREADS must be a whole number from 1 to 1024, got {wrong!r}"
        )
    monkeypatch.delenv("PYCAFFE_LITE_THREADS")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= _threads._default_count() <= os.cpu_count()


@pytest.mark.parametrize(
    ("openmp", "own", "count"),
    [
        ("3", "", 3),
        (" 3 ", "", 3),
        ("3,2", "", 3),
        ("3 , 2", "", 3),
        ("3", "5", 5),
        ("", "5", 5),
        *((text, "", None) for text in ("", " ", "0", "-1", "x", "3,x", ",", "²", "3.5", "99999999")),
    ],
)
def test_openmps_variable_counts_after_ours(monkeypatch, caplog, openmp, own, count):
    monkeypatch.setattr(_threads, "available_cores", lambda: 77)
    monkeypatch.setenv("OMP_NUM_THREADS", openmp)
    monkeypatch.setenv("PYCAFFE_LITE_THREADS", own)
    assert _threads._default_count() == (count or 77)
    ignored = [f"OMP_NUM_THREADS is ignored: {openmp.strip()!r} is not a number of threads"]
    assert caplog.messages == ([] if count or not openmp.strip() else ignored)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"a/b/cpu.max": "150000 100000"}, 1.5),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 100000"}, 4.0),
        ({"a/b/cpu.max": "300000 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ({"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, 2.0),
        ({"a/b/cpu.max": "max 100000"}, None),
        ({"cpu.max": "200000 100000"}, 2.0),  # a container sees its own group as the root
        ({}, None),
    ],
)
def test_quota_of_cgroup_version_2(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    assert _threads.cgroup_quota(tmp_path / "cgroup", tmp_path / "fs") == quota


def test_quota_of_cgroup_version_1(tmp_path):
    folder = tmp_path / "cpu,cpuacct" / "job"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("300000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cgroup").write_text("9:name=systemd:/\n4:cpu,cpuacct:/job\n3:cpuset:/other\n")
    assert _threads.cgroup_quota(tmp_path / "cgroup", tmp_path) == 3.0
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert _threads.cgroup_quota(tmp_path / "cgroup", tmp_path) is None


def test_no_cgroups(tmp_path):
    assert _threads.cgroup_quota(tmp_path / "missing", tmp_path) is None


PRODUCT, LOOP = str([[5.0] * 3] * 3), str([0.5, 0.5])


@pytest.mark.parametrize(("method", "answer"), [("fork", FORKED), ("spawn", LOOP)])
def test_child_processes(tmp_path, method, answer):
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    command = [sys.executable, str(script), method]
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "omp"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{PRODUCT} {LOOP}", PRODUCT, answer]


def test_a_fork_without_openmp_may_go_on(tmp_path):
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    command = [sys.executable, str(script), "fork"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{PRODUCT} {LOOP}", PRODUCT, LOOP]


MORE_THREADS = """
import numba, numpy as np
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, parallel_kernel, set_num_threads
from pycaffe_lite.kernels.runtime.team import Team

@parallel_kernel
def threads_of(counts):
    for i in numba.prange(counts.size):
        counts[i] = numba.get_num_threads()

Team.is_resting = lambda team: False
for count in (3, 6, 2):
    set_num_threads(count)
    counts = np.zeros(10, np.int64)
    threads_of(counts)
    print(get_num_threads(), *set(counts.tolist()))
"""


@pytest.mark.parametrize(("layer", "of_loops"), [("omp", (3, 6, 2)), ("workqueue", (3, 3, 2))])
def test_the_count_may_grow_at_any_time(layer, of_loops):
    """Numba's workqueue keeps the threads that it began with; its loops use as many of them as they may."""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-c", MORE_THREADS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    pairs = zip((3, 6, 2), of_loops, strict=True)
    assert done.stdout.splitlines() == [f"{count} {used}" for count, used in pairs]


def test_a_threading_layer_that_is_not_there(monkeypatch):
    def fail():
        raise ValueError("No threading layer could be loaded.\nHINT:\n$ pip install tbb")

    monkeypatch.setattr(_threads.parallel, "_is_initialized", False)
    monkeypatch.setattr(_threads.parallel, "_launch_threads", fail)
    with pytest.raises(KernelError) as caught:
        _threads._start_pool()
    assert str(caught.value) == (
        "cannot start the threads: No threading layer could be loaded. HINT: $ pip install tbb"
    )


def test_two_threads_may_run_kernels_at_once():
    x = np.linspace(-1, 1, 100_000, dtype=np.float32)
    expected = np.maximum(x, 0)

    def run(_):
        y = np.empty_like(x)
        relu.forward(x, np.float32(0), y)
        return np.array_equal(y, expected)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(20)))


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (0.5, 1), (1.9, 1), (3.0, 3), (20.0, 8)])
def test_a_quota_cuts_down_the_cores(monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(_threads, "cgroup_quota", lambda: quota)
    assert _threads.available_cores() == cores

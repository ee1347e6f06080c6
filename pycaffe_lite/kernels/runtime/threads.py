"""How many threads the kernels use, and Numba's own pool of threads, also after a fork.

The number of threads is the first of these that is given: `set_num_threads`, the environment variables
PYCAFFE_LITE_THREADS and OMP_NUM_THREADS, the cores that the process may use (its affinity mask, cut down by
the CPU quota of its cgroup).

Worker kernels run on a team of this package's own (`runtime.team`), parallel kernels on Numba's pool, for
which Numba has three threading layers. OpenMP is preferred: loops took 20 to 40 % longer with the other two,
and only its pool can grow. GNU's OpenMP cannot be used in a child that was forked after its first use, where
Numba would end the process with a signal. `enter_parallel` raises a KernelError there that says what to do.
Children that are started by spawn or exec are not concerned.
"""

import logging
import os
import sys
import threading
from pathlib import Path

import numba
from numba.np.ufunc import parallel

from pycaffe_lite.errors import KernelError
from pycaffe_lite.kernels.runtime.locks import pool_start

logger = logging.getLogger("pycaffe_lite.kernels")

THREADS_VARIABLE = "PYCAFFE_LITE_THREADS"
OPENMP_VARIABLE = "OMP_NUM_THREADS"
# No machine has so many cores. A larger number is a slip, for which the system might end the process.
MOST_THREADS = 1024
# How often an OpenMP thread looks for work before it sleeps. With GNU's default it would keep a core from the
# next kernel's threads for about a millisecond; with this, for a hundredth of that.
SPIN_VARIABLE, SPIN_COUNT = "GOMP_SPINCOUNT", "500"
LAYERS_BY_SPEED = ["omp", "tbb", "workqueue"]

# .count: what Numba was last told in this thread; Numba keeps a count for each thread.
_applied = threading.local()
_count: int | None = None
_forked = False


def available_cores() -> int:
    """Return how many cores the process may use: its affinity mask, cut down by its cgroup's CPU quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    # Rounded down: an additional thread would use up the quota by spinning.
    return max(1, min(cores, int(quota))) if quota is not None else cores


def cgroup_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return the smallest CPU quota, in cores, of this process's cgroups and their parents, or None.

    Version 2 keeps "quota period" in cpu.max ("max" stands for none); version 1 keeps two files under cpu/.
    """
    try:
        entries = [line.split(":", 2) for line in proc.read_text().splitlines()]
    except OSError:
        return None
    quotas: list[float] = []
    for _, controllers, name in (entry for entry in entries if len(entry) == 3):
        if not controllers:
            mounts = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / controllers, root / "cpu"]
        else:
            continue
        group = Path(name.lstrip("/"))
        for mount in mounts:
            # In a container the name may be the host's, and then only the root of the mount exists.
            for folder in (mount / group, *(mount / parent for parent in group.parents), mount):
                quotas.extend(_quota_of(folder))
    return min(quotas, default=None)


def _quota_of(folder: Path) -> list[float]:
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = " ".join((folder / name).read_text() for name in names).split()
            quota, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0 and period > 0:
            return [quota / period]
    return []


def _default_count() -> int:
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if not text:
        return _openmp_count() or available_cores()
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST_THREADS:
        raise KernelError(f"{THREADS_VARIABLE} must be a whole number from 1 to {MOST_THREADS}, got {text!r}")
    return int(text)


def _openmp_count() -> int | None:
    """Return what OMP_NUM_THREADS says, which batch systems set: of a list for nested loops, the first."""
    text = os.environ.get(OPENMP_VARIABLE, "").strip()
    if not text:
        return None
    counts = [part.strip() for part in text.split(",")]
    if all(c.isascii() and c.isdigit() and 1 <= int(c) <= MOST_THREADS for c in counts):
        return int(counts[0])
    # It is meant for other programs, too, and no reason to stop.
    logger.warning("%s is ignored: %r is not a number of threads", OPENMP_VARIABLE, text)
    return None


def get_num_threads() -> int:
    """Return the number of threads that the kernels use."""
    global _count
    if _count is not None:
        return _count
    with pool_start:
        if _count is None:
            _count = _default_count()
        return _count


def set_num_threads(count: int) -> None:
    """Set the number of threads of the kernels, for the whole process, at any time.

    Results do not depend on it. It may exceed the number of cores.

    Args:
        count: from 1 to 1024.

    Raises:
        KernelError: count is not in that range.
    """
    global _count
    if not 1 <= count <= MOST_THREADS:
        raise KernelError(f"the number of threads must be from 1 to {MOST_THREADS}, got {count}")
    with pool_start:  # else another thread might start a pool of the old size just now
        _count = count


def check_fork() -> None:
    """Raise KernelError in a child that was forked after OpenMP's threads had started."""
    if _forked:
        raise KernelError(
            "this process was forked after its parent had run kernels on OpenMP threads, which do not survive"
            " a fork; use multiprocessing.get_context('spawn') or set NUMBA_THREADING_LAYER=workqueue"
        )


def enter_parallel(count: int) -> str:
    """Make Numba's pool ready for a parallel kernel in the calling thread.

    Args:
        count: the number of threads, from 1 to `get_num_threads()`. A pool that cannot grow uses as many of
            them as it has.

    Returns:
        The threading layer of the pool.

    Raises:
        KernelError: this process is a child that cannot run such kernels, or the layer that the environment
            names is not installed.
    """
    if _forked:
        check_fork()
    if getattr(_applied, "count", None) != count:
        _start_pool()
        # Numba's public setter refuses more threads than the pool began with, though OpenMP's pool grows.
        grows = parallel._threading_layer == "omp"
        parallel._set_num_threads(count if grows else min(count, parallel.NUM_THREADS))
        _applied.count = count
    return parallel._threading_layer  # type: ignore[no-any-return]


def _start_pool() -> None:
    """Start Numba's pool unless it runs already."""
    with pool_start:
        if parallel._is_initialized:
            return
        count = get_num_threads()
        config = numba.config
        if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
            config.THREADING_LAYER_PRIORITY = LAYERS_BY_SPEED
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)
        if count > parallel.NUM_THREADS:
            parallel.NUM_THREADS = config.NUMBA_NUM_THREADS = count
        try:
            parallel._launch_threads()
        except ValueError as error:  # the layer that NUMBA_THREADING_LAYER names is not installed
            raise KernelError(f"cannot start the threads: {' '.join(str(error).split())}") from None


def _after_fork_in_child() -> None:
    global _forked
    gnu_openmp = sys.platform == "linux" and parallel._is_initialized and numba.threading_layer() == "omp"
    _forked = _forked or gnu_openmp


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

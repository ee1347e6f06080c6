"""How many threads the kernels use, and Numba's own threads; what happens to those after a fork.

The count is, in this order: `set_num_threads`, the environment variables PYCAFFE_LITE_THREADS and
OMP_NUM_THREADS, the cores that this process may use (its affinity, cut down by a cgroup's CPU quota).

Worker kernels run on threads of our own (`runtime.team`), parallel kernels on Numba's, which has three
threading layers. Its OpenMP layer is preferred here: loops took 20 to 40 % longer with the other two. GNU's
OpenMP cannot be used in a child that was forked after its first use (Numba would end the child with a
signal), so `enter_parallel` raises KernelError there, which can be caught and says what to do. Children
started by spawn or exec are not concerned.
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
# More threads than any machine has cores: a slip, which the operating system would answer by a crash.
MOST_THREADS = 1024
# How often an OpenMP thread looks for work before it sleeps. GNU's default, about a millisecond, would take a
# core from the next kernel's threads that long; this is a hundredth.
SPIN_VARIABLE, SPIN_COUNT = "GOMP_SPINCOUNT", "500"
LAYERS_BY_SPEED = ["omp", "tbb", "workqueue"]

_applied = (
    threading.local()
)  # .count: what Numba was last told in this thread (it keeps one count per thread)
_count: int | None = None
_forked = False


def available_cores() -> int:
    """The cores that this process may use: affinity, cut down by the CPU quota of its cgroups."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cgroup_quota()
    # Rounded down: threads that wait by spinning would eat a quota that they cannot fill.
    return max(1, min(cores, int(quota))) if quota is not None else cores


def cgroup_quota(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The smallest CPU quota, in cores, of this process's cgroups and their parents; None without one.

    Version 2 keeps "quota period" in cpu.max ("max" is none); version 1 keeps two files under cpu/.
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
            # Inside a container the name may be the host's, so that only the mount's own root exists.
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
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise KernelError(f"{THREADS_VARIABLE} must be a whole number from 1 on, got {text!r}")
    return int(text)


def _openmp_count() -> int | None:
    """What OMP_NUM_THREADS says: batch systems set it. Of "4,2", counts for nested loops, the first holds."""
    text = os.environ.get(OPENMP_VARIABLE, "").strip()
    if not text:
        return None
    counts = [part.strip() for part in text.split(",")]
    if all(c.isascii() and c.isdigit() and 1 <= int(c) <= MOST_THREADS for c in counts):
        return int(counts[0])
    # Meant for other programs as well: no reason to stop.
    logger.warning("%s is ignored: %r is not a number of threads", OPENMP_VARIABLE, text)
    return None


def get_num_threads() -> int:
    """The number of threads that parallel kernels use."""
    global _count
    if _count is not None:
        return _count
    with pool_start:
        if _count is None:
            _count = _default_count()
        return _count


def set_num_threads(count: int) -> None:
    """Set the number of threads of parallel kernels, for the whole process.

    Results do not depend on it. It may exceed the number of cores.

    Args:
        count: from 1 on.

    Raises:
        KernelError: for a count below 1, or one beyond the size of a running pool that cannot grow
            (only OpenMP's can).
    """
    global _count
    if count < 1:
        raise KernelError(f"the number of threads must be at least 1, got {count}")
    with pool_start:  # else another thread might start a pool of the old size just now
        if parallel._is_initialized and numba.threading_layer() != "omp" and count > parallel.NUM_THREADS:
            raise KernelError(
                f"{count} threads asked for, but the thread pool was started with {parallel.NUM_THREADS}; "
                f"set {THREADS_VARIABLE}={count} before the start"
            )
        _count = count


def check_fork() -> None:
    """Raise KernelError in a child that was forked after OpenMP's threads had started."""
    if _forked:
        raise KernelError(
            "this process was forked after its parent had run kernels on OpenMP threads, which do not survive"
            " a fork; use multiprocessing.get_context('spawn') or set NUMBA_THREADING_LAYER=workqueue"
        )


def enter_parallel(count: int) -> str:
    """Make Numba's pool ready for a parallel kernel in the calling thread; return the pool's layer.

    count: of threads, from 1 to `get_num_threads()`.
    """
    if _forked:
        check_fork()
    if getattr(_applied, "count", None) != count:
        _start_pool()
        # Numba's public setter refuses more than the pool's first size; OpenMP's pool grows on demand.
        parallel._set_num_threads(count)
        _applied.count = count
    return parallel._threading_layer  # type: ignore[no-any-return]


def _start_pool() -> int:
    """Start Numba's pool, if nobody has; return the number of threads that it is to use."""
    with pool_start:
        count = get_num_threads()
        if parallel._is_initialized:
            return count
        config = numba.config
        if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
            config.THREADING_LAYER_PRIORITY = LAYERS_BY_SPEED
        if "OMP_WAIT_POLICY" not in os.environ:
            os.environ.setdefault(SPIN_VARIABLE, SPIN_COUNT)
        if count > parallel.NUM_THREADS:
            parallel.NUM_THREADS = config.NUMBA_NUM_THREADS = count
        try:
            parallel._launch_threads()
        except ValueError as error:  # the layer that NUMBA_THREADING_LAYER names is not there
            raise KernelError(f"cannot start the threads: {' '.join(str(error).split())}") from None
        return count


def _after_fork_in_child() -> None:
    global _forked
    gnu_openmp = sys.platform == "linux" and parallel._is_initialized and numba.threading_layer() == "omp"
    _forked = _forked or gnu_openmp


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

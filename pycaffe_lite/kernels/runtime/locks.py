"""The locks of the process, the order in which threads take them, and what a fork does with them.

A thread that holds a lock may wait for the locks further down in this list, but for none further up:

1. the lock of a net, of which each net has one (net/turn.py);
2. the random stream's (random.py);
3. `single_entry`, if Numba's workqueue runs the parallel kernels;
4. `team_start`;
5. Numba's compiler lock, under which Numba and this package compile all code;
6. `pool_start`, then Numba's own locks around the start of its pool;
7. locks around a few lines that take no other lock (blob.py, data/lmdb_reader.py). A thread that holds one of
   2 to 6 takes none of these.

If a process were forked while another thread held a lock, nobody in the child would ever release it, and what
it guards might be half done. Therefore a fork takes the locks 2 to 6 first, in this order, and the one of
blob.py with them. It waits for kernels that are being compiled, and the child finds everything whole and all
locks free.
"""

import os
import threading
from typing import Any

from llvmlite.binding import ffi as llvm_ffi
from numba.core.compiler_lock import global_compiler_lock

compiler_lock = global_compiler_lock


def over_forks(lock: Any) -> Any:
    """Have every fork from now on hold the lock while it makes the child; returns the lock.

    A fork takes the locks in the reverse of the order in which they were passed to this function.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def lock_of_process() -> Any:
    """Return a new reentrant lock, which is free in a forked child."""
    return over_forks(threading.RLock())


pool_start = lock_of_process()
# llvmlite's own, which all its functions take: if another thread held it, no child could compile.
over_forks(llvm_ffi.lib._lock._lock)
over_forks(compiler_lock)
team_start = lock_of_process()
# Numba's workqueue ends the process if two threads enter it at once.
single_entry = lock_of_process()

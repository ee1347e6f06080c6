"""Locks of the whole process: the order in which threads take them, and what a fork does with them.

A thread that holds a lock may wait for those further down in this list, and for none further up:

1. a net's own, of which there is one per net (net/turn.py);
2. the random stream's (random.py);
3. `single_entry`, where Numba's own pool runs the kernels;
4. `team_start`;
5. Numba's compiler lock, whoever takes it, Numba or we: all code is made under it;
6. `pool_start`, then Numba's locks around the start of its pool;
7. those around a few lines that call nothing of ours (blob.py, data/lmdb_reader.py). Who holds one of
   2 to 5 takes none of these.

In a process that was forked while another thread held a lock, nobody would ever release it, and what it
guards may be half done. So a fork takes the locks itself first: those of 6, then 2 to 5 in this order. It
waits for kernels that are just being compiled, and the child finds all whole and free.
"""

import os
import threading
from typing import Any

from llvmlite.binding import ffi as llvm_ffi
from numba.core.compiler_lock import global_compiler_lock

compiler_lock = global_compiler_lock


def over_forks(lock: Any) -> Any:
    """The lock, which a fork holds from now on while it makes the child.

    A fork takes last what was handed in first: locks further up in the order are to come later.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def lock_of_process() -> Any:
    """A lock for one thread at a time, which may take it again; not held in a forked child."""
    return over_forks(threading.RLock())


pool_start = lock_of_process()
# llvmlite's own, under which it does whatever it does: no child could compile, had another thread held it.
over_forks(llvm_ffi.lib._lock._lock)
over_forks(compiler_lock)
team_start = lock_of_process()
# Numba's own pool, its last resort, ends the process where two threads call it at once.
single_entry = lock_of_process()

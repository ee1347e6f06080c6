"""What kernels ask of the operating system: to sleep and be woken, and what time it is.

Kernels call the system's functions by their addresses, which stand at the beginning of an int64 array.
"""

import ctypes
import sys
import time
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.calls import Array
from pycaffe_lite.kernels.runtime.compile import kernel
from pycaffe_lite.kernels.runtime.llvm import INT64

# Places in the array. Functions first, then two bells: what a thread locks, and what it then sleeps on.
LOCK, UNLOCK, SLEEP, WAKE, TIME, WALL, OWN, BELLS = range(8)
_BELL_PLACES = 16  # for a lock and for a condition; no system needs more than 64 bytes
_FIRST_BELL = 16  # from here on
SYSTEM_NUMBERS = _FIRST_BELL + 4 * _BELL_PLACES  # how many places all that takes
FOR_EVER = 0xFFFFFFFF


def write_system(numbers: Array) -> None:
    """Fill the beginning of an array of zeros, of which Windows makes its locks and conditions."""
    bells = [numbers.ctypes.data + 8 * (_FIRST_BELL + i * _BELL_PLACES) for i in range(4)]
    numbers[BELLS : BELLS + 4] = bells
    if sys.platform == "win32":
        library = ctypes.windll.kernel32
        names = ["AcquireSRWLockExclusive", "ReleaseSRWLockExclusive"]
        names += ["SleepConditionVariableSRW", "WakeAllConditionVariable"]
    else:
        library = ctypes.CDLL(None)
        names = ["pthread_mutex_lock", "pthread_mutex_unlock"]
        names += ["pthread_cond_wait", "pthread_cond_broadcast", "clock_gettime"]
        for i in range(0, 4, 2):
            library.pthread_mutex_init(ctypes.c_void_p(bells[i]), None)
            library.pthread_cond_init(ctypes.c_void_p(bells[i + 1]), None)
        numbers[[WALL, OWN]] = time.CLOCK_MONOTONIC, time.CLOCK_THREAD_CPUTIME_ID
    for i, name in enumerate(names):
        numbers[i] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value


@intrinsic
def _call(_context: Any, function: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call a function at an address that takes up to four numbers or addresses; it ignores those it lacks."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [INT64] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen


@intrinsic
def _read_clock(_context: Any, function: Any, clock: Any) -> Any:
    """Nanoseconds by one of the clocks of the function at an address."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        read = ir.FunctionType(ir.IntType(32), [INT64, INT64])
        time = cgutils.alloca_once(builder, ir.ArrayType(INT64, 2))
        builder.call(builder.inttoptr(args[0], read.as_pointer()), [args[1], builder.ptrtoint(time, INT64)])
        seconds, rest = (builder.extract_value(builder.load(time), i) for i in range(2))
        return builder.add(builder.mul(seconds, INT64(10**9)), rest)

    return types.int64(types.int64, types.int64), codegen


@kernel
def now(system: Array) -> int:
    """Nanoseconds since some time; 0 where the system has no such clock."""
    return _read_clock(system[TIME], system[WALL]) if system[TIME] != 0 else 0


@kernel
def own_time(system: Array) -> int:
    """Nanoseconds that this thread has had a core; 0 where the system has no such clock."""
    return _read_clock(system[TIME], system[OWN]) if system[TIME] != 0 else 0


@kernel
def lock(system: Array, bell: int) -> None:
    """Wait until nobody else holds the bell, and hold it."""
    _call(system[LOCK], system[BELLS + 2 * bell], 0, 0, 0)


@kernel
def unlock(system: Array, bell: int) -> None:
    """Hold the bell no longer."""
    _call(system[UNLOCK], system[BELLS + 2 * bell], 0, 0, 0)


@kernel
def sleep(system: Array, bell: int) -> None:
    """Let go of the bell, sleep until it is rung, and hold it again."""
    _call(system[SLEEP], system[BELLS + 2 * bell + 1], system[BELLS + 2 * bell], FOR_EVER, 0)


@kernel
def ring(system: Array, bell: int) -> None:
    """Wake all who sleep on the bell."""
    # Who holds it is about to sleep, and would not hear.
    lock(system, bell)
    unlock(system, bell)
    _call(system[WAKE], system[BELLS + 2 * bell + 1], 0, 0, 0)

"""What kernels need of the operating system: condition variables, on which threads sleep, and clocks.

Kernels call the system's functions by their addresses. These addresses, and the condition variables
themselves, are at the beginning of an int64 array that the caller provides: a thread that holds the array can
rely on them.
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

# Indices into the array: addresses of functions, the two clocks, and the addresses of a lock and a variable
# for each of the two condition variables. These are in the array, too, from _FIRST_OBJECT on.
LOCK, UNLOCK, WAIT, NOTIFY, TIME, WALL, OWN, CONDITIONS = range(8)
_OBJECT_NUMBERS = 16  # for each lock and each variable: twice the 64 bytes that any system needs
_FIRST_OBJECT = 16
SYSTEM_NUMBERS = _FIRST_OBJECT + 4 * _OBJECT_NUMBERS  # how many numbers of the array are used
FOR_EVER = 0xFFFFFFFF


def write_system(numbers: Array) -> None:
    """Fill the beginning of an array of zeros, which on Windows are locks and condition variables already."""
    objects = [numbers.ctypes.data + 8 * (_FIRST_OBJECT + i * _OBJECT_NUMBERS) for i in range(4)]
    numbers[CONDITIONS : CONDITIONS + 4] = objects
    if sys.platform == "win32":
        library = ctypes.windll.kernel32
        names = ["AcquireSRWLockExclusive", "ReleaseSRWLockExclusive"]
        names += ["SleepConditionVariableSRW", "WakeAllConditionVariable"]
    else:
        library = ctypes.CDLL(None)
        names = ["pthread_mutex_lock", "pthread_mutex_unlock"]
        names += ["pthread_cond_wait", "pthread_cond_broadcast", "clock_gettime"]
        for i in range(0, 4, 2):
            library.pthread_mutex_init(ctypes.c_void_p(objects[i]), None)
            library.pthread_cond_init(ctypes.c_void_p(objects[i + 1]), None)
        numbers[[WALL, OWN]] = time.CLOCK_MONOTONIC, time.CLOCK_THREAD_CPUTIME_ID
    for i, name in enumerate(names):
        numbers[i] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value


@intrinsic
def _call(_context: Any, function: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call the function at an address with four numbers; it may take fewer, and ignores the last ones."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [INT64] * 4)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen


@intrinsic
def _read_clock(_context: Any, function: Any, clock: Any) -> Any:
    """Return the nanoseconds of a clock, read with the function at an address."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        read = ir.FunctionType(ir.IntType(32), [INT64, INT64])
        time = cgutils.alloca_once(builder, ir.ArrayType(INT64, 2))
        builder.call(builder.inttoptr(args[0], read.as_pointer()), [args[1], builder.ptrtoint(time, INT64)])
        seconds, rest = (builder.extract_value(builder.load(time), i) for i in range(2))
        return builder.add(builder.mul(seconds, INT64(10**9)), rest)

    return types.int64(types.int64, types.int64), codegen


@kernel
def now(system: Array) -> int:
    """Return the nanoseconds of a clock that never goes back, or 0 if the system has none."""
    return _read_clock(system[TIME], system[WALL]) if system[TIME] != 0 else 0


@kernel
def own_time(system: Array) -> int:
    """Return the nanoseconds for which this thread has had a core, or 0 if the system has no such clock."""
    return _read_clock(system[TIME], system[OWN]) if system[TIME] != 0 else 0


@kernel
def lock(system: Array, condition: int) -> None:
    """Take the lock of a condition variable, as soon as no other thread holds it."""
    _call(system[LOCK], system[CONDITIONS + 2 * condition], 0, 0, 0)


@kernel
def unlock(system: Array, condition: int) -> None:
    """Release the lock of a condition variable."""
    _call(system[UNLOCK], system[CONDITIONS + 2 * condition], 0, 0, 0)


@kernel
def wait(system: Array, condition: int) -> None:
    """Release the lock of a condition variable, sleep until it is notified, and take the lock again."""
    place = CONDITIONS + 2 * condition
    _call(system[WAIT], system[place + 1], system[place], FOR_EVER, 0)


@kernel
def notify_all(system: Array, condition: int) -> None:
    """Wake all threads that sleep on a condition variable."""
    # A thread that holds the lock is about to sleep and would miss the notification.
    lock(system, condition)
    unlock(system, condition)
    _call(system[NOTIFY], system[CONDITIONS + 2 * condition + 1], 0, 0, 0)

"""Steps: calls of worker kernels, written down so that they can be run again without Python.

All workers go through all steps that were written down (`_calls`), one after another; between two they wait
for each other, which takes a fraction of a microsecond where each has a core. A call by itself is one step.
What Python does between two calls, and starting the threads for each, takes as long as the arithmetic of a
small layer: so whoever repeats the same calls lets them be noted (`note`), and runs them together next time.

Nobody waits for a worker that has not come. The tasks of a step are shared out among those who are there,
and a step is over when none is left and nobody is at work on one. So steps come to an end, too, where the
system gives all workers the same thread.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels._calls import CALL_BYTES, CALLER, LINE, SLOTS, Array, Form, Tasks
from pycaffe_lite.kernels._compile import compiled, kernel, serial_kernel
from pycaffe_lite.kernels._locks import single_entry
from pycaffe_lite.kernels._simd import INT64
from pycaffe_lite.kernels._threads import enter_parallel

PIECE = 16384  # numbers of a flat array in one task: 64 KB
SPINS = 2000  # times that a worker looks for the others before it lets other threads have its core


@intrinsic
def count_up(_context: Any, counts: Any, index: Any) -> Any:
    """counts[index], which is raised by one in the same step: threads get different numbers.

    A locked step: what the thread stored before, also past the caches, is there for all threads afterwards.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), INT64(1), "seq_cst")

    return types.int64(counts, types.intp), codegen


@kernel
def take_task(tasks: Tasks, count: int) -> int:
    """The number of a task, of `count` in all, that nobody has taken yet; `count` where there is none left.

    Each worker begins with a share of neighbours, the same in every kernel: what it reads is then likely to
    be in the caches of its core still, from the kernel before. Who has done his share helps the others.
    """
    workers = tasks.taken.size // LINE
    for i in range(workers):
        owner = (tasks.worker + i) % workers
        first, end = owner * count // workers, (owner + 1) * count // workers
        if tasks.taken[owner * LINE] < end - first:
            task: int = first + count_up(tasks.taken, owner * LINE)
            if task < end:
                return task
    return count


@kernel
def take_piece(tasks: Tasks, size: int) -> tuple[int, int]:
    """First and last + 1 of numbers in a flat array that nobody has taken yet; equal where none is left."""
    task = take_task(tasks, (size + PIECE - 1) // PIECE)
    return min(size, task * PIECE), min(size, (task + 1) * PIECE)


# ------------------------------------------------------------------------------------------- running steps


@intrinsic
def _enter(_context: Any, step: Any, counts: Any, at: Any, workers: Any, worker: Any) -> Any:
    """Run the step at an address, whose counts of tasks begin at counts[at]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        taken = _place(context, builder, signature.args[1], args[1], args[2])
        slots = builder.inttoptr(args[0], SLOTS)
        caller = builder.inttoptr(builder.load(slots), CALLER.as_pointer())
        builder.call(caller, [slots, taken, args[3], args[4]])
        return context.get_dummy_value()

    return types.void(types.intp, counts, types.intp, types.intp, types.intp), codegen


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


@intrinsic
def _set(_context: Any, flags: Any, index: Any, value: Any) -> Any:
    """flags[index] = value, a locked step as `count_up`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _place(context, builder, signature.args[0], args[0], args[1])
        builder.atomic_rmw("xchg", at, args[2], "seq_cst")
        return context.get_dummy_value()

    return types.void(flags, types.intp, types.int64), codegen


@intrinsic
def _read(_context: Any, flags: Any, index: Any) -> Any:
    """flags[index]; what its writer stored before it can be read afterwards."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _place(context, builder, signature.args[0], args[0], args[1])
        builder.fence("seq_cst")
        return builder.load_atomic(at, "seq_cst", align=8)

    return types.int64(flags, types.intp), codegen


@intrinsic
def _pause(_context: Any) -> Any:
    """Tell the core that this thread waits, where there is an instruction for that."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if context.codegen().magic_tuple()[0].startswith(("x86_64", "i686")):
            nothing = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, nothing, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _give_way(_context: Any, address: Any) -> Any:
    """Let other threads have this one's core for a while, by the system's function at an address."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@lru_cache(maxsize=1)
def _system_yield() -> int:
    """The address of the system's function for `_give_way`."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@kernel
def _go_through(room: int, rows: Array, counts: Array, workers: int, worker: int, system_yield: int) -> None:
    """Do a worker's part of all steps.

    rows: the workers that each step has memory for. counts, of each step, a cache line for each number: how
    many tasks are taken of each worker's share; of each worker, whether he is at work; how many came and, in
    the same line, whether no task is left.

    Who comes to a step that is over stays away from it: others may use its memory for the next one already.
    Either he sees that it is over, or those who want to go on see that he is at work.
    """
    for step in range(rows.size):
        taken = step * (2 * workers + 1) * LINE
        busy, came = taken + workers * LINE, taken + 2 * workers * LINE
        over = came + 1
        _set(counts, busy + worker * LINE, 1)
        if _read(counts, over) == 0:
            number = worker if rows[step] == workers else count_up(counts, came)
            if number < rows[step]:
                _enter(room + step * CALL_BYTES, counts, taken, rows[step], number)
                _set(counts, over, 1)
        _set(counts, busy + worker * LINE, 0)
        for other in range(workers):
            looks = 0
            while _read(counts, busy + other * LINE) != 0:
                looks += 1
                if looks < SPINS:
                    _pause()
                else:
                    _give_way(system_yield)


@serial_kernel
def _alone(room: int, rows: Array, counts: Array, workers: int, system_yield: int) -> None:
    """Go through all steps with one worker."""
    counts[:] = 0
    _go_through(room, rows, counts, workers, 0, system_yield)


def _together(room: int, rows: Array, counts: Array, workers: int, system_yield: int) -> None:
    """Go through all steps with so many workers, on as many threads as there may be."""
    counts[:] = 0
    for worker in numba.prange(workers):
        _go_through(room, rows, counts, workers, worker, system_yield)


_together = compiled(_together, parallel=True)


Arguments = tuple[int, Array, Array, int, int]


def _arguments(room: Array, rows: Array) -> Arguments:
    """Of `_alone` and `_together`, for the steps in a room."""
    workers = int(rows.max(initial=0))
    needed = rows.size * (2 * workers + 1) * LINE
    counts = np.empty(needed + LINE, np.int64)
    start = -counts.ctypes.data // counts.itemsize % LINE
    return room.ctypes.data, rows, counts[start : start + needed], workers, _system_yield()


def _run(arguments: Arguments) -> None:
    layer = enter_parallel()  # what is refused does not depend on how many workers there are
    if arguments[3] <= 1:  # a parallel loop would take as long as all the rest of a call
        _alone(*arguments)
    elif layer == "workqueue":
        with single_entry:
            _together(*arguments)
    else:
        _together(*arguments)


class Steps:
    """Steps in the order of their running.

    Attributes:
        whole: whether they are all that was done while they were noted.
    """

    def __init__(self) -> None:
        self.whole = True
        self._room = np.empty((1, CALL_BYTES), np.uint8)
        self._rows = np.empty(1, np.int64)
        self._used: list[tuple[Any, ...]] = []  # arrays that have to stay alive
        self._arguments: Arguments | None = None

    def __len__(self) -> int:
        return len(self._used)

    def write(self, form: Form, memory: Array, args: tuple[Any, ...]) -> None:
        """Write down the call of a kernel, with working memory (workers, count)."""
        number = len(self._used)
        if number == len(self._rows):
            self._room = np.resize(self._room, (2 * number, CALL_BYTES))
            self._rows = np.resize(self._rows, 2 * number)
        form.write(self._room, number * CALL_BYTES, memory, args)
        self._rows[number] = len(memory)
        self._used.append((memory, args))
        self._arguments = None

    def forget(self, start: int) -> None:
        """Forget the steps from `start` on."""
        del self._used[start:]
        self._arguments = None

    def run(self) -> None:
        """Run the steps, on as many threads as there may be."""
        if self._arguments is None:
            self._arguments = _arguments(self._room, self._rows[: len(self._used)])
        _run(self._arguments)


class _Here(threading.local):
    """Of the calling thread: room for one step, for each number of workers; and what is being noted."""

    def __init__(self) -> None:
        self.room = np.empty((1, CALL_BYTES), np.uint8)
        self.arguments: dict[int, Arguments] = {}
        self.noted: Steps | None = None


_here = _Here()


def start(form: Form, memory: Array, args: tuple[Any, ...]) -> None:
    """Run a worker kernel, and note that."""
    here, workers = _here, len(memory)
    arguments = here.arguments.get(workers)
    if arguments is None:
        arguments = here.arguments[workers] = _arguments(here.room, np.array([workers]))
    form.write(here.room, 0, memory, args)
    _run(arguments)
    if here.noted is not None:
        here.noted.write(form, memory, args)


def note_other_work() -> None:
    """Say that something is done which is no step, and cannot be noted."""
    if _here.noted is not None:
        _here.noted.whole = False


@contextmanager
def note() -> Iterator[Steps]:
    """Notes the steps that the calling thread runs in the block."""
    before, _here.noted = _here.noted, Steps()
    try:
        yield _here.noted
    finally:
        _here.noted = before

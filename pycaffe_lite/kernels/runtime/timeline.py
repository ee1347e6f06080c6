"""When which thread ran which kernel.

While somebody looks, each step's packed call is replaced by one of another trampoline. It reads the clock,
makes the call that the step stands for, reads the clock again, and writes both times down, with the thread's
own number. So the team runs the same code whether anybody looks or not, and the kernels as well.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core.registry import cpu_target

from pycaffe_lite.errors import KernelError
from pycaffe_lite.kernels.runtime.calls import CALL_BYTES, LINE, SLOTS, TRAMPOLINE, Array, kernel_names
from pycaffe_lite.kernels.runtime.llvm import INT64, compiled_module
from pycaffe_lite.kernels.runtime.sources import source_hash
from pycaffe_lite.kernels.runtime.steps import Arguments, Marks, watchers
from pycaffe_lite.kernels.runtime.team import lead

# The slots of a replaced call, behind that of the trampoline: the call itself, and where to write times.
_CALL, _PLACE = 1, 2
# What is written for each worker: begin and end in nanoseconds, and the thread; 0 for one that did not come.
_BEGIN, _END, _THREAD = range(3)


class Stretch(NamedTuple):
    """Something that took from `start` to `end`, in the nanoseconds of time.monotonic_ns().

    Attributes:
        name: of a kernel, `convolution.forward`, or of what was done, in the caller's words.
        what: what the kernel was run for, in the words of those who ran it.
        thread: which ran it, as threading.get_ident() numbers threads.
        is_kernel: whether it is a kernel's work.
    """

    name: str
    what: str
    thread: int
    start: int
    end: int
    is_kernel: bool


class Timeline:
    """Notes what the kernels of all threads do, for as long as a block runs.

    It adds some tenths of a microsecond to each kernel, and some tens to each job of the team.

    Attributes:
        stretches: what has been done, in no certain order.

    Raises:
        KernelError: this system has no clock that compiled code can read.
    """

    def __init__(self) -> None:
        if sys.platform == "win32":
            raise KernelError("the times of threads cannot be measured on Windows")
        self.stretches: list[Stretch] = []
        self._what, self._owner = "", 0
        self._trampoline = _trampoline()  # which takes a while the first time

    def __enter__(self) -> Timeline:
        self._owner = threading.get_ident()
        watchers.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watchers.remove(self)

    @contextmanager
    def span(self, what: str) -> Iterator[None]:
        """Notes how long the block takes; kernels that it runs are for `what`."""
        before, self._what = self._what, what
        start = time.monotonic_ns()
        try:
            yield
        finally:
            end = time.monotonic_ns()
            self.stretches.append(Stretch(what, before, threading.get_ident(), start, end, is_kernel=False))
            self._what = before

    def lead(self, state: Array, arguments: Arguments, marks: Marks) -> None:
        """Runs steps as the team's own `lead` does, and notes their times."""
        room, rows, counts, workers = arguments
        steps = len(rows)
        if steps == 0:
            return
        times = np.zeros((steps, workers, LINE), np.int64)
        calls = np.zeros((steps, CALL_BYTES // 8), np.int64)
        calls[:, 0] = self._trampoline
        calls[:, _CALL] = room + CALL_BYTES * np.arange(steps)
        calls[:, _PLACE] = times.ctypes.data + times.strides[0] * np.arange(steps)
        lead(state, calls.ctypes.data, rows, counts, workers)
        names = [_name_of(room + CALL_BYTES * step) for step in range(steps)]
        # Other threads of Python's, which read data for instance, run kernels of their own.
        whats = [self._what if threading.get_ident() == self._owner else ""] * steps
        for first, what in marks:
            whats[first:] = [what] * (steps - first)
        for step, worker in zip(*np.nonzero(times[:, :, _BEGIN]), strict=True):
            begin, end, thread = times[step, worker, : _THREAD + 1].tolist()
            self.stretches.append(Stretch(names[step], whats[step], thread, begin, end, is_kernel=True))

    def see_loop(self, name: str, start: int) -> None:
        """Notes a kernel that Numba's threads have run; of them only the caller's time is known."""
        end = time.monotonic_ns()
        self.stretches.append(Stretch(name, self._what, threading.get_ident(), start, end, is_kernel=True))


def _name_of(call: int) -> str:
    """The name of the kernel of a packed call at an address: its code's address is in the second slot."""
    address = ctypes.c_int64.from_address(call + 8).value
    return kernel_names.get(address, "kernel")


@cache
def _trampoline() -> int:
    """The address of the trampoline that writes times down."""
    library = ctypes.CDLL(None)
    addresses = [
        ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        for name in ("clock_gettime", "pthread_self")
    ]

    def write() -> Any:
        module = cpu_target.target_context.create_module("timeline")
        _write_trampoline(module)
        return module

    engine = compiled_module("timeline", source_hash(__name__), write)
    # The functions' addresses differ from process to process, so they are no part of the code.
    room = np.array([*addresses, time.CLOCK_MONOTONIC], np.int64)
    _kept.append(room)
    ctypes.c_int64.from_address(engine.get_global_value_address("system")).value = room.ctypes.data
    return int(engine.get_function_address("timed_call"))


_kept: list[Array] = []  # what compiled code points to


def _write_trampoline(module: Any) -> None:
    system = ir.GlobalVariable(module, INT64, "system")
    system.initializer = INT64(0)
    function = ir.Function(module, TRAMPOLINE, "timed_call")
    builder = ir.IRBuilder(function.append_basic_block())
    slots, taken, workers, worker = function.args
    functions = builder.inttoptr(builder.load(system), SLOTS)

    def number(pointer: Any, index: int) -> Any:
        return builder.load(builder.gep(pointer, [INT64(index)]))

    read = ir.FunctionType(ir.IntType(32), [INT64, SLOTS])
    clock = builder.inttoptr(number(functions, 0), read.as_pointer())
    who = builder.inttoptr(number(functions, 1), ir.FunctionType(INT64, []).as_pointer())
    room = builder.alloca(INT64, INT64(2))

    def now() -> Any:
        builder.call(clock, [number(functions, 2), room])
        return builder.add(builder.mul(number(room, 0), INT64(10**9)), number(room, 1))

    call = builder.inttoptr(number(slots, _CALL), SLOTS)
    begin = now()
    kernel = builder.inttoptr(number(call, 0), TRAMPOLINE.as_pointer())
    builder.call(kernel, [call, taken, workers, worker])
    end = now()
    row = builder.inttoptr(number(slots, _PLACE), SLOTS)
    place = builder.gep(row, [builder.mul(worker, INT64(LINE))])
    for index, value in ((_BEGIN, begin), (_END, end), (_THREAD, builder.call(who, []))):
        builder.store(value, builder.gep(place, [INT64(index)]))
    builder.ret_void()

"""The decorators that make a kernel.

`kernel` compiles a serial function for other kernels, `serial_kernel` one that Python code calls, too.
`parallel_kernel` compiles one whose `numba.prange` loops run on several threads; only Python code calls it.
`worker_kernel` compiles a serial function that several threads run at once, each with working memory of its
own. It is for large kernels, for which Numba would take several times as long inside a parallel loop, and for
those that are recorded and run together (`runtime.steps`).

Several of Python's threads may call kernels at once, also for the first time. Code is made under Numba's
compiler lock (`runtime.locks`), and never goes. Working memory and a recording belong to the calling thread
(`runtime.scratch`, `runtime.steps`). `lru_cache`, which keeps plans and tables, lets two threads make the
same one at once: so only that may be kept there which follows from the arguments alone, and nobody writes to.

A parallel kernel must give the same bits for every number of threads. So each output is written by one
iteration, and a sum over iterations is cut into a fixed number of parts, which are added in order.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec, TypeVar, overload

import numba
import numpy as np

from pycaffe_lite.kernels.runtime.calls import Array, CallSignature, Tasks
from pycaffe_lite.kernels.runtime.compile import compiled, kernel, serial_kernel
from pycaffe_lite.kernels.runtime.locks import compiler_lock, single_entry
from pycaffe_lite.kernels.runtime.steps import break_recording, start, take_piece, take_task, watchers
from pycaffe_lite.kernels.runtime.team import team_of
from pycaffe_lite.kernels.runtime.threads import check_fork, enter_parallel, get_num_threads, set_num_threads

__all__ = [
    "Array",
    "Tasks",
    "check_fork",
    "get_num_threads",
    "kernel",
    "parallel_kernel",
    "serial_kernel",
    "set_num_threads",
    "take_piece",
    "take_task",
    "worker_kernel",
]

_NO_LOCK: AbstractContextManager[None] = nullcontext()

P = ParamSpec("P")
R = TypeVar("R")


class ParallelKernel:
    """A compiled function with parallel loops, which Python code calls."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.py_func = function
        self.dispatcher = compiled(function, parallel=True, **options)
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )

    def __call__(self, *args: Any) -> Any:
        break_recording()
        team = team_of(get_num_threads())
        alone = team.members == 1 or team.is_resting()
        layer = enter_parallel(1 if alone else team.members)
        wall, own = time.monotonic_ns(), time.thread_time_ns()
        with single_entry if layer == "workqueue" else _NO_LOCK, team.aside():
            result = self.dispatcher(*args)
        if not alone:
            team.settle_loop(time.monotonic_ns() - wall, time.thread_time_ns() - own)
        if watchers:
            watchers[-1].see_loop(f"{self.__module__.rpartition('.')[2]}.{self.__name__}", wall)
        return result


@overload
def parallel_kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def parallel_kernel(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def parallel_kernel(function: Any = None, /, **options: Any) -> Any:
    """Compile a kernel whose `prange` loops run on `get_num_threads()` threads.

    The arguments and `.py_func` are those of `kernel`. A call raises KernelError in a forked child whose
    parent had started OpenMP's threads (see `runtime.threads`).
    """
    if function is None:
        return lambda function: parallel_kernel(function, **options)
    return ParallelKernel(function, options)


class WorkerKernel:
    """A compiled function that several workers run at once, and that Python code calls."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self.dispatcher = compiled(function, from_python=False)
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )
        self._signatures: dict[tuple[str, int], CallSignature] = {}

    def __call__(self, memory: Array, *args: Any) -> None:
        key = memory.dtype.char, len(args)
        signature = self._signatures.get(key)
        if signature is None:
            signature = self._signatures[key] = self._compile(memory, args)
        start(signature, memory, args)

    def _compile(self, memory: Array, args: tuple[Any, ...]) -> CallSignature:
        """Compile the kernel for such arguments. Threads that ask for it at once get equal signatures."""
        kinds = tuple(numba.typeof(arg) for arg in args)
        some_tasks = Tasks(np.zeros(1, np.int64), 0)
        types_of = (*kinds, numba.typeof(some_tasks), numba.typeof(memory[0]))
        with compiler_lock:
            self.dispatcher.compile(types_of)
            compiled = self.dispatcher.overloads[types_of]
            address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
        name = f"{self.__module__.rpartition('.')[2]}.{self.__name__}"
        return CallSignature(name, address, kinds, types_of[-1].dtype)


def worker_kernel(function: Callable[..., None], /) -> Callable[..., None]:
    """Compile a serial kernel for several workers at once.

    Python code calls it as kernel(memory, *args). It runs function(*args, tasks, memory[i]) for rows i of
    memory, on as many threads as `get_num_threads` says; a thread that comes when all work is done runs
    nothing. The workers share out the work themselves (`take_task`). memory is float32 or float64, and float
    arrays among the args have its type. All arrays are contiguous, and an argument has the same type in all
    calls with memory of one type.
    """
    return WorkerKernel(function)

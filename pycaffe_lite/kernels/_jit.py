"""The decorators that make a kernel: every flag that Numba gets is written here.

`kernel` compiles a serial function; kernels may call each other. `parallel_kernel` compiles one whose
`numba.prange` loops run on several threads; Python code calls it, kernels do not. `worker_kernel` compiles a
serial function that several threads run at once, each with working memory of its own: for large kernels,
which Numba would take several times as long to compile inside a parallel loop. All release the GIL, compile
on first use for the types they meet, divide as NumPy does (no ZeroDivisionError) and keep the machine code on
disk (`_cache`). A kernel that departs from these flags names flag and reason where it is decorated.

A parallel kernel must give the same bits for every number of threads: each output is written by one
iteration, sums over iterations are kept per part in a fixed number of parts and added in order.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar, overload

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels._cache import ROOM, KernelCache
from pycaffe_lite.kernels._threads import check_fork, enter_parallel, get_num_threads, set_num_threads

__all__ = [
    "Array",
    "Tasks",
    "check_fork",
    "get_num_threads",
    "kernel",
    "parallel_kernel",
    "set_num_threads",
    "take_task",
    "worker_kernel",
]

Array: TypeAlias = np.ndarray[Any, Any]
P = ParamSpec("P")
R = TypeVar("R")

# Numba's own pool, its last resort, does not bear calls from two threads at once.
_single_entry = threading.Lock()


def _compile(function: Callable[..., Any], parallel: bool, options: dict[str, Any]) -> Any:
    dispatcher = numba.njit(nogil=True, error_model="numpy", parallel=parallel, **options)(function)
    # A function from elsewhere is not part of the hash that names the cache folder.
    if function.__code__.co_filename.startswith(str(ROOM)):
        dispatcher._cache = KernelCache(function, {"parallel": parallel, **options})
    return dispatcher


@overload
def kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def kernel(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def kernel(function: Any = None, /, **options: Any) -> Any:
    """Compile a serial kernel, which other kernels may call.

    Args:
        function: plain Python on arrays and numbers; stays reachable as `.py_func`.
        options: further flags of `numba.njit` (fastmath, inline), with the reason in a comment.
    """
    if function is None:
        return lambda function: kernel(function, **options)
    return _compile(function, False, options)


class ParallelKernel:
    """A compiled function with parallel loops, to be called from Python."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.py_func = function
        self.dispatcher = _compile(function, True, options)
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )

    def __call__(self, *args: Any) -> Any:
        if enter_parallel() == "workqueue":
            with _single_entry:
                return self.dispatcher(*args)
        return self.dispatcher(*args)


@overload
def parallel_kernel(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def parallel_kernel(**options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def parallel_kernel(function: Any = None, /, **options: Any) -> Any:
    """Compile a kernel whose `prange` loops run on `get_num_threads()` threads.

    Args and `.py_func`: as for `kernel`. Raises KernelError when called in a forked child (see `_threads`).
    """
    if function is None:
        return lambda function: parallel_kernel(function, **options)
    return ParallelKernel(function, options)


class WorkerKernel:
    """A compiled function that several workers run at once, to be called from Python."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self.dispatcher = _compile(function, False, {})
        self.__doc__, self.__name__, self.__module__ = (
            function.__doc__,
            function.__name__,
            function.__module__,
        )
        self._addresses: dict[str, int] = {}

    def __call__(self, memory: Array, *args: Any) -> None:
        address = self._addresses.get(memory.dtype.char)
        if address is None:
            address = self._addresses[memory.dtype.char] = self._compiled_address(memory, args)
        if len(memory) > 1:
            _run_workers(address, memory, *args)
        else:  # a parallel loop would take as long as all the rest of a call
            enter_parallel()  # what is refused does not depend on how many workers there are
            _run_alone(address, memory, *args)

    def _compiled_address(self, memory: Array, args: tuple[Any, ...]) -> int:
        some_tasks = Tasks(np.zeros(1, np.int64), 0)
        signature = tuple(numba.typeof(arg) for arg in (*args, some_tasks, memory[0]))
        self.dispatcher.compile(signature)
        compiled = self.dispatcher.overloads[signature]
        return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def worker_kernel(function: Callable[..., None], /) -> Callable[..., None]:
    """Compile a serial kernel for several workers at once.

    Called from Python as kernel(memory, *args), it runs function(*args, tasks, memory[i]) for every row of
    memory, on as many threads as there may be. The workers share out the work themselves (`take_task`).
    memory is float32 or float64, float arrays among the args have its type; all are contiguous.
    """
    return WorkerKernel(function)


class Tasks(NamedTuple):
    """What the workers of one call share out among them."""

    taken: Array  # (workers,), int64: how many tasks of each worker's share
    worker: int  # which one this is


@intrinsic
def _count_up(_context: Any, counts: Any, index: Any) -> Any:
    """counts[index], which is raised by one in the same step: threads get different numbers.

    A locked step: what the thread stored before, also past the caches, is there for all threads afterwards.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), one, "seq_cst")

    return types.int64(counts, types.intp), codegen


@kernel
def take_task(tasks: Tasks, count: int) -> int:
    """The number of a task, of `count` in all, that nobody has taken yet; `count` where there is none left.

    Each worker begins with a share of neighbours, the same in every kernel: what it reads is then likely to
    be in the caches of its core still, from the kernel before. Who has done his share helps the others.
    """
    workers = tasks.taken.size
    for i in range(workers):
        owner = (tasks.worker + i) % workers
        first, end = owner * count // workers, (owner + 1) * count // workers
        if tasks.taken[owner] < end - first:
            task: int = first + _count_up(tasks.taken, owner)
            if task < end:
                return task
    return count


@intrinsic
def _call_at(_context: Any, address: Any, args: Any, tasks: Any, memory: Any) -> Any:
    """Call the compiled kernel at an address with (*args, tasks, memory).

    Linked in, it would be compiled anew.
    """
    argument_types = (*args.types, tasks, memory)

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        convention = context.call_conv
        function_type = convention.get_function_type(types.none, argument_types)
        function = builder.inttoptr(values[0], function_type.as_pointer())
        unpacked = [builder.extract_value(values[1], i) for i in range(len(args.types))]
        convention.call_function(
            builder, function, types.none, argument_types, [*unpacked, values[2], values[3]]
        )
        return context.get_dummy_value()

    return types.void(types.intp, args, tasks, memory), codegen


@parallel_kernel
def _run_workers(address: int, memory: Array, *args: Any) -> None:
    """Run the worker kernel at an address once per row of memory."""
    taken = np.zeros(memory.shape[0], np.int64)
    for worker in numba.prange(memory.shape[0]):
        _call_at(address, args, Tasks(taken, worker), memory[worker])


@kernel
def _run_alone(address: int, memory: Array, *args: Any) -> None:
    """Run the worker kernel at an address for the only row of memory."""
    _call_at(address, args, Tasks(np.zeros(1, np.int64), 0), memory[0])

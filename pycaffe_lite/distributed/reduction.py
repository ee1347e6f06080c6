"""Averaging gradients over MPI while the layers below still compute.

The gradients of a net lie in one array, in the order in which backward completes them. As soon as a stretch
of it is complete, a *bucket* leaves, in two steps:

1. each of the N ranks sends every other its part of the bucket, 1/N of it (MPI's Alltoallv), and adds the N
   versions of its own part in the order of the ranks;
2. each rank sends these means to all others (Allgatherv).

That moves 2 (N - 1)/N times the bucket through each rank's network, as the best all-reduce does. An
all-reduce of MPI may add in another order for another size of message or another placement of the ranks; here
the order is that of the ranks, whatever MPI does, so the bits depend on nothing else, not even on the
buckets.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import ordered_sum
from pycaffe_lite.net.net import Net
from pycaffe_lite.solver.action import Action
from pycaffe_lite.solver.ranks import Step

ALIGN = 16  # values: kernels like rows of the cache
# A bucket takes so many times as long as an empty one, so that little time is lost by sending several.
WORTH = 10
LEAST_BUCKET, MOST_BUCKET = 1 << 18, 1 << 24  # bytes
LEAST_BUCKETS, MOST_BUCKETS = 4, 64
_TRIAL_BYTES = 1 << 18
_TRIALS = 5
MOST_ACTIVE = 4  # buckets under way at once
# How long the thread sleeps between two looks while the layers compute; how long `finish` looks without
# sleep, and then for how long it sleeps. All in seconds.
PAUSE, EAGER, SLEEP = 1e-4, 5e-3, 2e-4
# How long a rank waits for others that have nothing else to do; while one tests, so many times as long.
PATIENCE, PATIENT_TIMES = 1800.0, 20

_ACTIONS = (Action.NONE, Action.SNAPSHOT, Action.STOP)  # the strongest request of a rank counts for all


def nothing_for(patience: float) -> str:
    """What to say after waiting for so many seconds."""
    return f"other ranks have sent nothing for {patience:g} s: has one of their hosts gone, or its network?"


class Bucket:
    """A stretch of the gradients, on its way.

    Args:
        values: the stretch, a view of all gradients. count, rank: of the ranks, and of this one.
        mpi_type: of the values.
    """

    def __init__(self, values: Array, count: int, rank: int, mpi_type: Any) -> None:
        self.values = values
        self.rank = rank
        part = -(-values.size // count // ALIGN) * ALIGN
        bounds = [min(values.size, part * k) for k in range(count + 1)]
        sizes = np.diff(bounds).tolist()
        mine = sizes[rank]
        self.own = values[bounds[rank] : bounds[rank + 1]]
        # Nothing is sent to oneself.
        self.sent = [values, [n * (k != rank) for k, n in enumerate(sizes)], bounds[:-1], mpi_type]
        counts = [mine * (k != rank) for k in range(count)]
        self.places = counts, [mine * (k - (k > rank)) for k in range(count)]
        self.received = count - 1, mine
        self.gathered = [values, sizes, bounds[:-1], mpi_type]
        self.mpi_type = mpi_type
        self.room: Array = np.empty(0, values.dtype)
        self.request: Any = None
        self.is_summed = False


class Exchange:
    """The buckets under way, of which several may be at once; MPI is used by one thread at a time.

    Args:
        comm: a communicator. mpi: the module mpi4py.MPI.
        threaded: whether a thread of its own looks after them while `finish` is not called.
    """

    def __init__(self, comm: Any, mpi: Any, threaded: bool) -> None:
        # One communicator for each kind: MPI wants all ranks to start in one order on each.
        self._parts, self._means, self._notes = comm.Dup(), comm.Dup(), comm.Dup()
        self._mpi = mpi
        self.seconds_waited = 0.0
        self._moves = 0  # counts each step of a bucket
        self._lock = threading.Lock()
        self._waiting: deque[Bucket] = deque()
        self._active: deque[Bucket] = deque()
        self._rooms: list[npt.NDArray[np.uint8]] = []
        self._error: BaseException | None = None
        self._work = threading.Event()
        if threaded:
            threading.Thread(target=self._look_after, name="gradients", daemon=True).start()

    def start(self, bucket: Bucket) -> None:
        """Sends a bucket, as soon as fewer than MOST_ACTIVE are under way."""
        with self._lock:
            self._waiting.append(bucket)
            self._move()
        self._work.set()

    def finish(self, note: npt.NDArray[np.float64], patience: float) -> npt.NDArray[np.float64]:
        """Waits for all buckets; meanwhile, sends every rank a note.

        Args:
            note: (k,) numbers of this rank. patience: seconds to wait at most while nothing moves.

        Returns:
            (ranks, k), the notes of all.

        Raises:
            SolverError: patience is over.
        """
        start = moved = time.perf_counter()
        moves = self._moves
        notes = np.empty((self._notes.Get_size(), note.size))
        with self._lock:
            request = self._notes.Iallgather([note, self._mpi.DOUBLE], [notes, self._mpi.DOUBLE])
            came = False
            while self._waiting or self._active or not came:
                if self._error is not None:
                    raise self._error
                self._move()
                came = came or request.Test()
                now = time.perf_counter()
                if moves != self._moves:
                    moves, moved = self._moves, now
                elif now - moved > patience:
                    raise SolverError(nothing_for(patience))
                time.sleep(SLEEP if now - start > EAGER else 0)  # in any case, others may have the core
        self.seconds_waited += time.perf_counter() - start
        return notes

    def _look_after(self) -> None:
        """What the thread does: moves buckets on while the layers compute."""
        while self._error is None:
            self._work.wait()
            with self._lock:  # which `finish` holds until all is done
                if self._waiting or self._active:
                    try:
                        self._move()
                    except BaseException as error:
                        self._error = error
                else:
                    self._work.clear()
            time.sleep(PAUSE)

    def _move(self) -> None:
        """Starts and ends what can be, with the lock held."""
        while self._waiting and len(self._active) < MOST_ACTIVE:
            self._send(self._waiting.popleft())
        for bucket in self._active:
            if not bucket.is_summed:
                if not bucket.request.Test():
                    break
                ordered_sum.mean(bucket.room, bucket.rank, bucket.own)
                self._rooms.append(bucket.room.reshape(-1).view(np.uint8))
                bucket.is_summed = True
                self._moves += 1
                bucket.request = self._means.Iallgatherv(self._mpi.IN_PLACE, bucket.gathered)
        while self._active and self._active[0].is_summed and self._active[0].request.Test():
            self._active.popleft()
            self._moves += 1

    def _send(self, bucket: Bucket) -> None:
        needed = bucket.received[0] * bucket.received[1] * bucket.values.itemsize
        room = next((room for room in self._rooms if room.size == needed), None)
        if room is None:
            room = np.empty(needed, np.uint8)
        else:
            self._rooms = [other for other in self._rooms if other is not room]
        bucket.room = room.view(bucket.values.dtype).reshape(bucket.received)
        bucket.is_summed = False
        bucket.request = self._parts.Ialltoallv(bucket.sent, [bucket.room, *bucket.places, bucket.mpi_type])
        self._active.append(bucket)

    def bucket_bytes(self, rank: int, count: int) -> int:
        """How large buckets should be on this network, by trial; the same on all ranks."""
        times = []
        for size in (ALIGN * count, _TRIAL_BYTES // 4):
            values = np.zeros(size, np.float32)
            least = np.inf
            for _ in range(_TRIALS):
                self._notes.Barrier()
                start = time.perf_counter()
                self.start(Bucket(values, count, rank, self._mpi.FLOAT))
                self.finish(np.zeros(1), PATIENCE)
                least = min(least, time.perf_counter() - start)
            times.append(least)
        per_byte = max((times[1] - times[0]) / _TRIAL_BYTES, 1e-12)
        wanted = WORTH * (times[0] + 2 * PAUSE) / per_byte
        mine = int(min(max(wanted, LEAST_BUCKET), MOST_BUCKET))
        agreed: int = self._notes.bcast(mine, 0)
        self.seconds_waited = 0.0
        return agreed


class MpiReduction:
    """Averages the gradients of a net over the ranks of a communicator.

    Args:
        net: the net. comm: the communicator. mpi: the module mpi4py.MPI.
        overlap: whether gradients leave while backward computes; a thread of its own then uses MPI.
        patience: how many seconds to wait for other ranks.
        bucket_bytes: of a bucket; None: what a trial finds best.
    """

    def __init__(
        self,
        net: Net,
        comm: Any,
        mpi: Any,
        *,
        overlap: bool = True,
        patience: float = PATIENCE,
        bucket_bytes: int | None = None,
    ) -> None:
        self._net = net
        self._rank, self._count = comm.Get_rank(), comm.Get_size()
        self._run: Callable[[], float] = net.forward_backward
        self._buckets: list[tuple[list[Blob], list[Bucket]]] = []  # by the call that sends them
        self._sent = 0  # of these
        self._patience = patience
        self.bytes = self.bucket_bytes = 0
        if self._count == 1:
            return
        self.exchange = Exchange(comm, mpi, overlap)
        best = bucket_bytes or self.exchange.bucket_bytes(self._rank, self._count)
        by_part = net.gradients_by_part()
        order = [k for part in by_part for k in part]
        if not order:
            return
        groups = [[p.blob for p in net.param_table.params if p.learnable == k] for k in order]
        self._flat, places = Blob.put_diffs_in_a_row(groups, ALIGN)
        self.bytes = self._flat.nbytes
        # Small nets are cut as well: what leaves early need not be waited for. Of large ones enough is under
        # way at once that the network has work while the thread waits for a core.
        largest = max(LEAST_BUCKET, self.bytes // LEAST_BUCKETS)
        self.bucket_bytes = min(max(best, self.bytes // MOST_BUCKETS), largest, MOST_BUCKET)
        mpi_type = mpi.FLOAT if self._flat.dtype == np.float32 else mpi.DOUBLE
        calls = self._cut(by_part, groups, places, mpi_type)
        if overlap:
            self._run = net.forward_backward_calling(calls)

    def _cut(
        self, by_part: list[list[int]], groups: list[list[Blob]], places: list[slice], mpi_type: Any
    ) -> dict[int, Callable[[], object]]:
        """Makes the buckets; returns what sends them, by the number of backward parts that are done then."""
        calls: dict[int, Callable[[], object]] = {}
        done = sent = 0
        step = self.bucket_bytes // self._flat.itemsize // ALIGN * ALIGN
        for number, part in enumerate(by_part):
            done += len(part)
            start, end = (places[sent].start if sent < done else 0), places[max(done, 1) - 1].stop
            is_last = done == len(groups)
            if done == sent or ((end - start) * self._flat.itemsize < self.bucket_bytes and not is_last):
                continue
            stretches = [self._flat[i : min(i + step, end)] for i in range(start, end, step)]
            buckets = [Bucket(values, self._count, self._rank, mpi_type) for values in stretches]
            calls[number + 1] = partial(self._send, len(self._buckets))
            self._buckets.append(([group[0] for group in groups[sent:done]], buckets))
            sent = done
        return calls

    def _send(self, number: int) -> None:
        blobs, buckets = self._buckets[number]
        for blob in blobs:
            blob.finish_clearing()
        for bucket in buckets:
            self.exchange.start(bucket)
        self._sent = number + 1

    @property
    def seconds_waited(self) -> float:
        """For how long this rank has waited for the others, or for the network, in all."""
        return self.exchange.seconds_waited if self._count > 1 else 0.0

    def forward_backward(self) -> float:
        """Runs the net forward and backward, and sends gradients as soon as they are complete."""
        self._sent = 0
        return self._net.forward_backward() if self._net.is_watched else self._run()

    def finish(self, loss: float, action: Action, *, patient: bool = False) -> Step:
        """Waits until the gradients are the mean over all ranks."""
        if self._count == 1:
            return Step(loss, action)
        for number in range(self._sent, len(self._buckets)):
            self._send(number)
        note = np.array([loss, _ACTIONS.index(action)])
        notes = self.exchange.finish(note, self._patience * (PATIENT_TIMES if patient else 1))
        mean = float(np.add.reduce(notes[:, 0])) / self._count
        return Step(mean, _ACTIONS[int(notes[:, 1].max())])

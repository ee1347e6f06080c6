"""MpiRanks: the processes of an MPI communicator as a solver's ranks."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from pycaffe_lite.blob import Array
from pycaffe_lite.data.share import Share
from pycaffe_lite.distributed.launcher import Place, tell_starter
from pycaffe_lite.distributed.library import load_mpi
from pycaffe_lite.distributed.reduction import PATIENCE, MpiReduction, nothing_for
from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import available_cores
from pycaffe_lite.net.net import Net

log = logging.getLogger(__name__)

T = TypeVar("T")

# MPI counts in 32 bits on some clusters.
_MOST_BYTES = 1 << 30
# How long a rank that fails waits for one of a lower number to tell what all have failed by.
_PATIENCE_SECONDS, _MORE_SECONDS, _MOST_SECONDS = 1.0, 0.1, 4.0
# In so long, a launcher has shown what a rank has written; it may drop the rest of ranks that are ended.
_FLUSH_SECONDS = 0.3


class MpiRanks:
    """The processes of a communicator.

    Args:
        comm: the communicator; this one works on copies, so that messages of others do not get in its way.
        overlap: whether gradients leave while backward computes.
        patience: how many seconds this rank waits for others that have nothing else to do; then it ends all.
            MPI itself may wait for ever where a host or its network is gone.

    Attributes:
        rank, count: of this process, and how many there are.
        share: the records that this one takes. hosts: the host of each rank.
        takes_threads: whether several threads may use MPI at once; gradients leave early only then.

    Raises:
        SolverError: there is no MPI.
    """

    def __init__(self, comm: Any, *, overlap: bool = True, patience: float = PATIENCE) -> None:
        self._overlap, self._patience = overlap, patience
        self._mpi = load_mpi()
        self._comm = comm.Dup()
        self.rank: int = self._comm.Get_rank()
        self.count: int = self._comm.Get_size()
        self.share = Share(self.rank, self.count, agree=self.agree)
        # Whether several threads may use MPI at once, as this one and that which looks after gradients.
        self.takes_threads = bool(self._mpi.Query_thread() == self._mpi.THREAD_MULTIPLE)
        self.hosts = [""] * self.count
        self.hosts = self.gather(socket.gethostname())

    @classmethod
    def of_world(cls, place: Place | None, *, patience: float = PATIENCE) -> MpiRanks:
        """All processes that the launcher has started.

        Args:
            place: what the launcher has told this one; None if there is none. patience: as for `MpiRanks`.

        Raises:
            SolverError: MPI sees other processes than the launcher has started, or there is no MPI.
        """
        mpi = load_mpi()
        seen = mpi.COMM_WORLD.Get_size()
        if place is not None and place.ranks not in (0, seen):
            library = mpi.Get_library_version().split("\n")[0].strip("\0 ")
            raise SolverError(
                f"the launcher has started {place.ranks} ranks (by {place.variable}), MPI sees {seen}: the "
                f"launcher is of another MPI than mpi4py's, which is {library}; start the ranks with that "
                "one's mpiexec, or have mpi4py load the launcher's MPI (MPI4PY_LIBMPI)"
            )
        return cls(mpi.COMM_WORLD, patience=patience)

    def name(self, rank: int) -> str:
        """A rank, for messages."""
        return f"rank {rank} on host '{self.hosts[rank]}'"

    def hosts_in_words(self) -> str:
        """The hosts, each with its number of ranks."""
        counts = Counter(self.hosts)
        return ", ".join(f"'{host}'" + (f" ({n} ranks)" if n > 1 else "") for host, n in counts.items())

    def fair_threads(self) -> int:
        """For how many threads this rank has cores, if those of a host share the cores that they may use."""
        affinity = getattr(os, "sched_getaffinity", None)
        cores = frozenset(affinity(0)) if affinity else frozenset(range(os.cpu_count() or 1))
        others = self.gather((socket.gethostname(), cores))
        rivals = sum(host == others[self.rank][0] and bool(cores & theirs) for host, theirs in others)
        return max(1, available_cores() // rivals)

    # --------------------------------------------------------------------------------------------- messages

    def gather(self, value: T) -> list[T]:
        """Each rank's value, in the order of the ranks, on all of them."""
        with self._waiting():
            return list(self._comm.allgather(value))

    def agree(self, value: T) -> T:
        """The value of rank 0, on all ranks."""
        with self._waiting():
            agreed: T = self._comm.bcast(value, 0)
        return agreed

    def to_first(self, value: T) -> list[T] | None:
        """Each rank's value on rank 0, None on the others."""
        values: list[T] | None = self._comm.gather(value, 0)
        return values

    def broadcast(self, arrays: Sequence[Array]) -> None:
        """Overwrites arrays with those of rank 0."""
        with self._waiting():
            for array in arrays:
                flat = array.reshape(-1).view("u1")
                for start in range(0, flat.size, _MOST_BYTES):
                    self._comm.Bcast([flat[start : start + _MOST_BYTES], self._mpi.BYTE], 0)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Ends all ranks if the others let this one wait too long."""
        if self.count == 1:
            yield
            return
        end = threading.Timer(self._patience, self._give_up)
        end.daemon = True
        end.start()
        try:
            yield
        finally:
            end.cancel()

    def _give_up(self) -> NoReturn:
        log.error("%s: %s", self.name(self.rank), nothing_for(self._patience))
        self.end_all(1)

    @contextmanager
    def first_of_host_first(self) -> Iterator[None]:
        """Lets the first rank of each host run a block before the others of that host run it."""
        neighbours = [rank for rank, host in enumerate(self.hosts) if host == self.hosts[self.rank]]
        if len(neighbours) == 1 or not self.takes_threads:
            yield
            return
        host = self._comm.Split(neighbours[0], self.rank)
        try:
            if self.rank == neighbours[0]:
                yield
            with self._waiting():
                host.Barrier()
            if self.rank != neighbours[0]:
                yield
        finally:
            host.Free()

    def reduction(self, net: Net) -> MpiReduction:
        """What averages the net's gradients."""
        overlap = self._overlap and self.takes_threads
        return MpiReduction(net, self._comm, self._mpi, overlap=overlap, patience=self._patience)

    # --------------------------------------------------------------------------------------------- the end

    def wait_to_speak(self) -> None:
        """Waits, before this rank tells what is wrong, for one of a lower number that has the same to tell.

        Whoever speaks then ends all ranks, so that one message is seen.
        """
        if self.rank:
            time.sleep(min(_PATIENCE_SECONDS + _MORE_SECONDS * self.rank, _MOST_SECONDS))

    def end_all(self, status: int) -> NoReturn:
        """Ends the processes of all ranks at once, whatever they are doing."""
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(_FLUSH_SECONDS)
        tell_starter()
        self._mpi.COMM_WORLD.Abort(status)
        os._exit(status)

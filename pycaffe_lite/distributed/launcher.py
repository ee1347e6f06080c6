"""Launchers: whether one has started this process as a rank, and starting ranks with one."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from pycaffe_lite.distributed.library import find_launcher
from pycaffe_lite.errors import SolverError
from pycaffe_lite.kernels import available_cores

# By which variables launchers tell a process its rank, and how many there are.
_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, srun --mpi=pmi2
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),  # MVAPICH
    ("PALS_RANKID", "PALS_SIZE"),  # Cray
    ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"),  # Spectrum
    ("PMIX_RANK", "SLURM_STEP_NUM_TASKS"),  # srun --mpi=pmix
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun; in a batch script itself the second is not set
)
# A launcher that tells the rank alone: how many there are is for MPI to say.
_RANK_ALONE = "PMIX_RANK"
THREADS_VARIABLE = "PYCAFFE_LITE_THREADS"
# Who has started the ranks, `1234@host`, and the signal by which a rank tells it that it ends all of them.
STARTER_VARIABLE = "PYCAFFE_LITE_STARTER"
END_SIGNAL = getattr(signal, "SIGUSR1", None)  # which Windows has not
# How long a launcher may take then, and how often that is looked at.
_GRACE_SECONDS, _LOOK_SECONDS = 5.0, 0.5


class Place(NamedTuple):
    """What a launcher has told this process.

    Attributes:
        rank: this one's. ranks: how many there are; 0 if that is not told. variable: which told the rank.
    """

    rank: int
    ranks: int
    variable: str


def launched(environment: Mapping[str, str] = os.environ) -> Place | None:
    """This process's place among the ranks that a launcher has started; None if none has."""
    for rank, count in _VARIABLES:
        if environment.get(rank, "").isdecimal() and environment.get(count, "").isdecimal():
            return Place(int(environment[rank]), int(environment[count]), rank)
    if environment.get(_RANK_ALONE, "").isdecimal():
        return Place(int(environment[_RANK_ALONE]), 0, _RANK_ALONE)
    return None


def launch_command(ranks: int | None, launcher: str) -> list[str]:
    """The command that starts ranks of the command behind it.

    Args:
        ranks: how many; None if the launcher knows. launcher: a command to use; empty: mpiexec.

    Raises:
        SolverError: there is no mpiexec, or the launcher's command cannot be read.
    """
    if not launcher:
        return [str(find_launcher()), "-n", str(ranks)]
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        raise SolverError(f"cannot read the launcher's command '{launcher}': {error}") from None
    return words if ranks is None else [*words, "-n", str(ranks)]


def own_command(arguments: Sequence[str]) -> list[str]:
    """The command line that runs this program with other arguments."""
    script = Path(sys.argv[0])
    if script.is_file() and script.name != "__main__.py":
        return [sys.executable, str(script.absolute()), *arguments]
    return [sys.executable, "-m", "pycaffe_lite", *arguments]


def tell_starter() -> None:
    """Tells who has started the ranks, if that is a process of this host, that this rank ends all of them."""
    process = _starter()
    if process is not None and END_SIGNAL is not None:
        with contextlib.suppress(OSError):
            os.kill(process, END_SIGNAL)


def stop_with_starter() -> None:
    """Lets this rank get SIGTERM when the process of this host that has started the ranks is gone.

    One that is killed can tell its launcher nothing, and the ranks would train on unseen. Only Linux tells
    the end of a process that is not a child.
    """
    process = _starter()
    if process is None or sys.platform != "linux":
        return
    try:
        watched = os.pidfd_open(process)
    except OSError:  # an old kernel, or a container, which has numbers of its own for processes
        return

    def wait() -> None:
        end = select.poll()
        end.register(watched, select.POLLIN)
        end.poll()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="starter", daemon=True).start()


def _starter() -> int | None:
    """The process that has started the ranks, if it is one of this host."""
    process, _, host = os.environ.get(STARTER_VARIABLE, "").partition("@")
    return int(process) if process.isdecimal() and host == socket.gethostname() else None


def environment_of_ranks(ranks: int | None) -> dict[str, str]:
    """The environment for ranks on this machine: they share out its cores, unless that is settled."""
    environment = dict(os.environ)
    if ranks is not None and not ({THREADS_VARIABLE, "OMP_NUM_THREADS"} & environment.keys()):
        environment[THREADS_VARIABLE] = str(max(1, available_cores() // ranks))
    return environment


class Job:
    """Ranks that are running, started from here.

    Attributes:
        stopping: whether a signal has asked for their end.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_at: float | None = None  # when a rank told that it ends all

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Starts them, hands signals on, and waits; returns the exit status that shells expect.

        Raises:
            SolverError: the launcher cannot be started.
        """
        numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        # The launcher gets a session of its own: Ctrl-C would reach it twice, from here and the terminal.
        before = {number: signal.signal(number, self._hand_on) for number in numbers}
        if END_SIGNAL is not None:
            before[END_SIGNAL] = signal.signal(END_SIGNAL, self._note_end)
        environment = {**environment, STARTER_VARIABLE: f"{os.getpid()}@{socket.gethostname()}"}
        try:
            try:
                self._process = subprocess.Popen(command, env=dict(environment), start_new_session=True)
            except OSError as error:
                raise SolverError(f"cannot start '{command[0]}': {error.strerror}") from None
            status = self._wait(self._process)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return status if status >= 0 else 128 - status

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for the launcher, which may itself go on to wait for a host that is gone."""
        while True:
            try:
                return process.wait(_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if self._ended_at is not None and time.monotonic() - self._ended_at > _GRACE_SECONDS:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return 1

    def _note_end(self, number: int, frame: FrameType | None) -> None:
        self._ended_at = time.monotonic()

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):
            return  # launchers do not hand SIGHUP on but end by it: a closed terminal ends no training
        self.stopping = True
        if self._process is not None:
            self._process.send_signal(number)

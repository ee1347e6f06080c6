"""Noticing launchers, and the commands that start ranks."""

import signal
import sys

import pytest

from pycaffe_lite.distributed import launcher
from pycaffe_lite.distributed.launcher import Job, Place, launch_command, launched
from pycaffe_lite.errors import SolverError


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, None),
        ({"PMI_RANK": "2", "PMI_SIZE": "4"}, Place(2, 4, "PMI_RANK")),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}, Place(0, 2, "OMPI_COMM_WORLD_RANK")),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, Place(3, 8, "SLURM_PROCID")),
        # In the batch script itself, which is no step of its own.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}, None),
        ({"PMIX_RANK": "1", "PMIX_NAMESPACE": "x"}, Place(1, 0, "PMIX_RANK")),
        ({"PMIX_RANK": "1", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}, Place(1, 2, "PMIX_RANK")),
        ({"PMI_RANK": "x", "PMI_SIZE": "4"}, None),
    ],
)
def test_environments(environment, place):
    assert launched(environment) == place


def test_commands(monkeypatch):
    monkeypatch.setattr(launcher, "find_launcher", lambda: "/opt/bin/mpiexec")
    assert launch_command(4, "") == ["/opt/bin/mpiexec", "-n", "4"]
    assert launch_command(None, "srun --ntasks 8") == ["srun", "--ntasks", "8"]
    assert launch_command(2, "mpiexec -hosts 'a,b'") == ["mpiexec", "-hosts", "a,b", "-n", "2"]
    with pytest.raises(SolverError, match=r"cannot read the launcher's command 'a \"b'"):
        launch_command(2, 'a "b')


def test_ranks_share_the_cores(monkeypatch):
    monkeypatch.setattr(launcher, "available_cores", lambda: 8)
    monkeypatch.delenv("PYCAFFE_LITE_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert launcher.environment_of_ranks(3)["PYCAFFE_LITE_THREADS"] == "2"
    assert launcher.environment_of_ranks(16)["PYCAFFE_LITE_THREADS"] == "1"
    assert "PYCAFFE_LITE_THREADS" not in launcher.environment_of_ranks(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "PYCAFFE_LITE_THREADS" not in launcher.environment_of_ranks(3)


def test_jobs_end_as_their_ranks_do():
    def status_of(code):
        return Job().run([sys.executable, "-c", code], {})

    assert status_of("raise SystemExit(3)") == 3
    assert status_of("import os; os.kill(os.getpid(), 9)") == 137
    with pytest.raises(SolverError, match="cannot start '/no/such/launcher': No such file or directory"):
        Job().run(["/no/such/launcher"], {})


def test_signals_are_handed_on():
    job = Job()
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(20)"
    )
    before = signal.getsignal(signal.SIGTERM)
    assert job.run([sys.executable, "-c", code], {}) == 7
    assert job.stopping
    assert signal.getsignal(signal.SIGTERM) is before

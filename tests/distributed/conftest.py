"""Starting ranks: real ones, by the mpiexec of the MPI that is installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ranks_at_work import environment, launcher

HERE = Path(__file__).parent
HAS_MPI = importlib.util.find_spec("mpi4py") is not None
# Nobody waits longer than that for ranks; those that hang are a failure.
LIMIT_SECONDS = 120


def pytest_collection_modifyitems(items):
    """Tests that start ranks need the extra `mpi`."""
    for item in items:
        if item.get_closest_marker("ranks") and not HAS_MPI:
            item.add_marker(pytest.mark.skip(reason="needs MPI: pip install '.[mpi]'"))


@pytest.fixture(scope="session")
def run_ranks():
    """Runs a program of this folder on several ranks; returns what the first one prints, read as JSON."""

    def run(ranks, program, *arguments):
        command = [*launcher(ranks), sys.executable, str(HERE / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env=environment(GLOG_minloglevel="2"),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def train():
    """Runs `pycaffe-lite train` with some arguments; returns the finished process."""

    def run(*arguments, **more):
        command = [sys.executable, "-m", "pycaffe_lite", "train", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=environment(**more)
        )

    return run

"""Two hosts with a network between them: real TCP, at full speed and at 100 Mbit/s."""

import re
import shlex
import subprocess
import sys

import pytest
from ranks_at_work import environment, launcher
from small_data import write_files
from test_train import end

from benchmarks.two_hosts import cut, may_make_hosts, two_hosts

pytestmark = pytest.mark.ranks


@pytest.fixture(autouse=True)
def _allowed():
    if reason := may_make_hosts():
        pytest.skip(f"no network namespaces can be made here: {reason}")


def test_same_bits_over_a_network(train, tmp_path):
    """However fast it is: the order of additions is that of the ranks."""
    ends = []
    for name, rate in (("memory", None), ("cable", None), ("slow", "100mbit")):
        folder = tmp_path / name
        folder.mkdir()
        solver = write_files(folder)
        if name == "memory":
            done = train(solver, "--launch", shlex.join(launcher(2)))
        else:
            with two_hosts(folder, rate) as (hosts, command):
                done = train(solver, "--launch", shlex.join([*command, "-n", "2"]))
                # mpiexec starts the rank of its own host itself, without another name for the host.
                assert re.search(f"Training on 2 ranks, on '[^']*', '{hosts[1]}'; ", done.stderr)
        assert done.returncode == 0, done.stderr
        ends.append(end(folder))
    assert ends[0] == ends[1] == ends[2]


def test_a_network_that_is_gone(tmp_path):
    """The ranks wait no longer than they are told to."""
    solver = write_files(tmp_path, max_iter=1_000_000, snapshot=0)
    with two_hosts(tmp_path) as (hosts, command):
        launch = shlex.join([*command, "-n", "2"])
        process = subprocess.Popen(
            [sys.executable, "-m", "pycaffe_lite", "train", solver, "--launch", launch, "--patience", "2"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for line in process.stderr:
            if "Iteration 4, " in line:
                break
        cut(hosts[1])
        _, log = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "other ranks have sent nothing for 2 s: has one of their hosts gone, or its network?" in log

"""Two hosts with a network between them: real TCP at 100 Mbit/s, and a cable that is cut."""

import re
import shlex
import subprocess
import sys
import time

import pytest
from ranks_at_work import environment, launcher
from small_data import write_files
from test_train import change, end

from benchmarks.two_hosts import cut, may_make_hosts, two_hosts

pytestmark = pytest.mark.ranks


@pytest.fixture(autouse=True)
def _allowed():
    if reason := may_make_hosts():
        pytest.skip(f"no network namespaces can be made here: {reason}")


def test_same_bits_over_a_network(train, tmp_path):
    """As through the memory of one host: the order of additions is that of the ranks."""
    ends = []
    for name, rate in (("memory", None), ("slow", "100mbit")):
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
    assert ends[0] == ends[1]


def test_a_network_that_is_gone(tmp_path):
    """The ranks wait no longer than they are told to."""
    solver = write_files(tmp_path, max_iter=1_000_000, snapshot=0)
    change(solver, "test_interval: 3", "test_interval: 1000000")  # in a test, they have more patience
    with two_hosts(tmp_path) as (hosts, command):
        launch = shlex.join([*command, "-n", "2"])
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "pycaffe_lite",
                    "train",
                    solver,
                    "--launch",
                    launch,
                    "--patience",
                    "2",
                ],
                stdout=log,
                stderr=log,
                env=environment(),
            )
        while "Iteration 4, " not in (tmp_path / "log").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        cut(hosts[1])
        assert process.wait(60) == 1
    said = "other ranks have sent nothing for 2 s: has one of their hosts gone, or its network?"
    assert said in (tmp_path / "log").read_text()

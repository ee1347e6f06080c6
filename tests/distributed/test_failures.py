"""What goes wrong on one rank ends all, and is said once; training can go on from the last snapshot."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killing import rank_processes
from ranks_at_work import environment
from small_data import write_files
from test_train import change, end

from pycaffe_lite.solver import find_latest_snapshot

pytestmark = pytest.mark.ranks

FAILING = """
    layer { name: "failing" type: "Python" bottom: "data" top: "nothing" include { phase: TRAIN }
            python_param { module: "failing" layer: "Failing" } }
    layer { name: "nobody" type: "Silence" bottom: "nothing" include { phase: TRAIN } }
    layer { name: "drop" """
HERE = str(Path(__file__).parent)


def files(folder, **values):
    solver = write_files(folder, **values)
    change(folder / "net.prototxt", '\n    layer { name: "drop" ', FAILING)
    return solver


def errors_in(done):
    return [line for line in done.stderr.splitlines() if line.startswith("Error: ")]


RAISED = r".*layer 'failing' \(Python\): Failing.forward raised ValueError: record 17 is corrupt"
# By rank, and which of its runs fails; the layer runs twice in an iteration, a snapshot is due every 5.
FAILURES = {
    "1 15 raise": r"rank 1 on host '.*': " + RAISED,
    "1 15 nan": r"rank 1 on host '.*': .*solver.prototxt: iteration 7: the loss became nan: ",
    "0 15 disk": r"rank 0 on host '.*': .*cannot write .*s_iter_10.caffemodel.*: File too large",
}


@pytest.mark.parametrize("fail", FAILURES)
def test_one_message(train, tmp_path, fail):
    solver = files(tmp_path)
    start = time.monotonic()
    done = train(solver, "--ranks", "3", FAIL=fail, PYTHONPATH=HERE)
    assert done.returncode == 1
    assert time.monotonic() - start < 60  # ten seconds, and the start of three ranks on a busy machine
    assert len(errors := errors_in(done)) == 1, done.stderr
    assert re.search(FAILURES[fail], errors[0])
    assert find_latest_snapshot(str(tmp_path / "s")) == tmp_path / "s_iter_5.solverstate"


def test_a_killed_rank_and_a_restart(train, tmp_path):
    """The others end; with --restarts they begin again from the last snapshot, to the same end."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
        files(folder, max_iter=9, snapshot=3)
    assert train(whole / "solver.prototxt", "--ranks", "2", PYTHONPATH=HERE).returncode == 0
    done = train(
        broken / "solver.prototxt", "--ranks", "2", "--restarts", "2", FAIL="1 9 kill", PYTHONPATH=HERE
    )
    assert done.returncode == 0, done.stderr
    assert (
        f"The ranks ended with status 9; starting again from '{broken}/s_iter_3.solverstate' (2 left)"
        in done.stderr
    )
    assert end(whole, 9) == end(broken, 9)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_stopping_together(train, tmp_path, number, status):
    """One snapshot, by the first rank, at the same iteration on all of them."""
    solver = files(tmp_path, max_iter=100_000, snapshot=0)
    command = [
        sys.executable,
        "-m",
        "pycaffe_lite",
        "train",
        solver,
        "--ranks",
        "2",
        "--log-file",
        tmp_path / "log",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(PYTHONPATH=HERE)
    )
    for line in process.stderr:
        if "Iteration 4, " in line:
            break
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    assert process.returncode == status, log
    assert log.count("Snapshotting to binary proto file") == 1
    assert "Optimization stopped early." in log
    snapshot = find_latest_snapshot(str(tmp_path / "s"))
    iteration = int(re.search(r"iter_(\d+)", snapshot.name)[1])
    assert f"Iteration {iteration}, " not in (tmp_path / "log.rank1").read_text()
    if number == signal.SIGINT:
        return  # the snapshot is the same
    change(solver, "max_iter: 100000", f"max_iter: {iteration + 1}")
    done = train(solver, "--ranks", "2", "--snapshot", "latest", "--exact", PYTHONPATH=HERE)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells when the starter ends")
def test_a_killed_starter(tmp_path):
    """The ranks do not train on without it: they stop with a snapshot."""
    solver = write_files(tmp_path, max_iter=1_000_000, snapshot=0)
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "pycaffe_lite", "train", solver, "--ranks", "2"]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    while "Iteration 4, " not in (tmp_path / "log").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    limit = time.monotonic() + 20
    while (left := rank_processes(tmp_path)) and time.monotonic() < limit:
        time.sleep(0.05)
    process.wait()
    for rank in left.values():
        os.kill(rank, signal.SIGKILL)
    assert not left
    assert len(list(tmp_path.glob("*.solverstate"))) == 1
    assert (tmp_path / "log").read_text().count("Stopped by SIGTERM.") == 1

"""Killing ranks of a training at random moments, and resuming it, until it is through."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ranks_at_work import environment, launcher
from small_data import write_files

from pycaffe_lite.net.weights import read
from pycaffe_lite.solver import find_latest_snapshot
from pycaffe_lite.solver.continuation import decode
from pycaffe_lite.solver.snapshot import mismatch, read_state

END = 150
LIMIT_SECONDS = 20  # for the others to end


def rank_processes(folder):
    """The processes that train there as ranks, by their number."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            if str(folder).encode() not in (process / "cmdline").read_bytes():
                continue
            variables = (process / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        ranks = [v.partition(b"=")[2] for v in variables if v.startswith(b"PMI_RANK=")]
        if ranks and process.name.isdecimal():
            found[int(ranks[0])] = int(process.name)
    return found


def start(folder, ranks):
    command = [
        *launcher(ranks),
        sys.executable,
        "-m",
        "pycaffe_lite",
        "train",
        str(folder / "solver.prototxt"),
    ]
    if find_latest_snapshot(str(folder / "s")):
        command += ["--snapshot", "latest", "--exact"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment())


def is_whole(folder):
    """Whether the latest snapshot's two files belong together."""
    path = find_latest_snapshot(str(folder / "s"))
    if path is None:
        return True
    state = read_state(path)
    return mismatch(Path(state.learned_net), decode(state.resume)) is None


def kill_and_resume(folder, ranks, kills, seed):
    """Kills so many ranks, one in a life of the job; then lets it come to its end.

    Returns:
        How many were killed while the net was trained, and the longest time for which others lived on.
    """
    chance = random.Random(seed)
    in_training, longest, killed = 0, 0.0, 0
    while killed < kills:
        job = start(folder, ranks)
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 1.5))  # while it starts
        else:
            while "Solving" not in (folder / "log").read_text() and job.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.15))
        processes = rank_processes(folder)
        if not processes or job.poll() is not None:
            if job.wait(LIMIT_SECONDS) == 0:  # it was through: from the beginning
                for file in folder.glob("s_iter_*"):
                    file.unlink()
            continue
        os.kill(chance.choice(sorted(processes.values())), signal.SIGKILL)
        begun = time.monotonic()
        status = job.wait(LIMIT_SECONDS)
        longest = max(longest, time.monotonic() - begun)
        if status:
            killed += 1
            in_training += "Solving" in (folder / "log").read_text()
        assert is_whole(folder)
    assert start(folder, ranks).wait(120) == 0, (folder / "log").read_text()
    return in_training, longest


def prepare(folder):
    """Writes a training that saves a snapshot in every third iteration."""
    folder.mkdir()
    write_files(folder, max_iter=END, snapshot=3)
    return folder


def end_of(folder):
    """Weights and history at the end, as one array of bytes."""
    layers = read(folder / f"s_iter_{END}.caffemodel").layers
    arrays = [blob.data for layer in layers for blob in layer.blobs]
    arrays += read_state(folder / f"s_iter_{END}.solverstate").history
    return np.concatenate([np.ascontiguousarray(array).view(np.uint8).ravel() for array in arrays])

"""Kills a training hundreds of times, resumes it each time, and compares its end with an undisturbed run's.

    python tests/long/kill_training.py [--kills 200] [--sigterms 20] [--seed 1]

For each format of snapshots, with and without `keep`: SIGKILL at random moments, every other one while a
snapshot is being written; then SIGTERM to the command at random moments, which must end with status 143.
Weights and history at the end must be bitwise those of the run that nobody disturbed. 200 kills each and 20
times SIGTERM take about four minutes. Ends with status 1 if anything differs.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "solver"))

from small_data import write_files  # noqa: E402

from pycaffe_lite.net.weights import read  # noqa: E402
from pycaffe_lite.solver import get_solver  # noqa: E402
from pycaffe_lite.solver.snapshot import read_state  # noqa: E402

END = 120
ENVIRONMENT = {**os.environ, "PYCAFFE_LITE_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}


def settings(folder, hdf5):
    """Writes net, data and solver; returns the solver's path."""
    path = write_files(folder, max_iter=END, snapshot=3)
    path.write_text(path.read_text() + ("snapshot_format: HDF5" if hdf5 else ""))
    return path


def ends_equal(folders, ending):
    """Whether both runs have the same weights and history at their end."""
    ends = []
    for folder in folders:
        layers = read(folder / f"s_iter_{END}.caffemodel{ending}").layers
        arrays = {(layer.name, i): blob.data for layer in layers for i, blob in enumerate(layer.blobs)}
        history = read_state(folder / f"s_iter_{END}.solverstate{ending}").history
        ends.append({**arrays, **dict(enumerate(history))})
    return ends[0].keys() == ends[1].keys() and all(
        np.array_equal(ends[0][key], ends[1][key]) for key in ends[0]
    )


def kill(folder, kills, seed, keep):
    """SIGKILL; returns what crash_zygote.py reports."""
    zygote = ROOT / "tests" / "solver" / "crash_zygote.py"
    command = [zygote, folder / "solver.prototxt", folder / "s", kills, seed, *([keep] if keep else [])]
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    return json.loads(done.stdout)


def terminate(folder, times, seed):
    """SIGTERM to the command; returns how many lives ended with 143, the last one with 0."""
    chance = random.Random(seed)
    command = [sys.executable, str(ROOT / "cli.py"), "train", str(folder / "solver.prototxt")]
    statuses = []
    for i in range(times + 1):
        # Stopped in the test before the first iteration, it has nothing to save.
        resume = ["--snapshot", "latest", "--exact"] if any(folder.glob("s_iter_*.solverstate*")) else []
        process = subprocess.Popen(
            [*command, *resume],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        if i < times:
            for line in process.stderr:
                if "Solving" in line:
                    break
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGTERM)
        process.communicate()
        statuses.append(process.returncode)
    return statuses


def main():
    """Runs all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--sigterms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    failed = False
    for ending in ("", ".h5"):
        with tempfile.TemporaryDirectory() as whole:
            undisturbed = Path(whole)
            get_solver(settings(undisturbed, bool(ending))).solve()
            for keep in (0, 2):
                with tempfile.TemporaryDirectory() as folder:
                    settings(Path(folder), bool(ending))
                    report = kill(Path(folder), given.kills, given.seed, keep)
                    equal = report["status"] == 0 and ends_equal((undisturbed, Path(folder)), ending)
                    failed |= not equal
                    left = len(list(Path(folder).glob("s_iter_*.solverstate*")))
                    print(
                        f"{'HDF5' if ending else 'binary'}, keep {keep or 'all'}: {report['killed']} kills, "
                        f"{report['half_written']} with a file half written, {left} snapshots left, "
                        f"same end: {equal}",
                        flush=True,
                    )
            with tempfile.TemporaryDirectory() as folder:
                settings(Path(folder), bool(ending))
                statuses = terminate(Path(folder), given.sigterms, given.seed)
                equal = ends_equal((undisturbed, Path(folder)), ending)
                failed |= not equal or set(statuses) - {0, 143} != set()
                print(
                    f"{'HDF5' if ending else 'binary'}: {statuses.count(143)} of {given.sigterms} SIGTERMs "
                    f"ended a life with 143, the others came behind its end; same end: {equal}",
                    flush=True,
                )
    sys.exit(failed)


if __name__ == "__main__":
    main()

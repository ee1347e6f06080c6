"""Kills ranks of a training at random moments, resumes it each time, and compares its end.

    python tests/long/kill_ranks.py [--kills 100] [--ranks 2] [--seed 1]

After each kill the other ranks have to end within 20 s, and the latest snapshot has to be whole. At the end,
weights and history must be bitwise those of a run that nobody disturbed. Needs the extra `mpi`. 100 kills
take about six minutes. Ends with status 1 if anything differs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "distributed"), str(TESTS / "solver"), str(TESTS.parent)]

from killing import end_of, kill_and_resume, prepare, start  # noqa: E402


def main():
    """Runs all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = prepare(Path(folder) / "whole"), prepare(Path(folder) / "killed")
        if start(whole, given.ranks).wait(100):
            sys.exit((whole / "log").read_text())
        in_training, longest = kill_and_resume(killed, given.ranks, given.kills, given.seed)
        equal = np.array_equal(end_of(whole), end_of(killed))
    print(
        f"{given.kills} kills of one of {given.ranks} ranks, {in_training} of them in training; the others "
        f"ended within {longest:.1f} s; same end: {equal}"
    )
    sys.exit(not equal)


if __name__ == "__main__":
    main()

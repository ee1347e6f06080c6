"""Run on three ranks: stops and resumes, on as many ranks and on others.

    mpiexec -n 3 python going_on.py FOLDER

The first rank prints what it has found.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "solver"), str(Path(__file__).parents[2])]

from small_data import write_files  # noqa: E402

from pycaffe_lite.distributed.library import load_mpi  # noqa: E402
from pycaffe_lite.distributed.ranks import MpiRanks  # noqa: E402
from pycaffe_lite.errors import SnapshotError  # noqa: E402
from pycaffe_lite.solver import get_solver  # noqa: E402

MPI = load_mpi()
END = 12


class Lines(logging.Handler):
    """Keeps the warnings of a run."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def run(path, ranks, resume=None, **options):
    """Trains to the end; returns weights and history as bytes, losses by iteration, and warnings."""
    lines, losses = Lines(), {}
    logging.getLogger("pycaffe_lite").addHandler(lines)
    made = get_solver(path, ranks=ranks)
    made.add_callback(lambda: None, lambda: losses.update({made.iter: made.smoothed_loss}))
    if resume is not None:
        made.restore(resume, **options)
    made.solve()
    logging.getLogger("pycaffe_lite").removeHandler(lines)
    # Each rank has statistics of batch normalization of its own; the first one's are kept.
    params = zip(made.net.learnable_params, made.net.params_lr, strict=True)
    arrays = [blob.data for blob, rate in params if rate or ranks is None or not ranks.rank] + made.history
    return b"".join(array.tobytes() for array in arrays), losses, lines.lines


def refused(path, ranks, resume):
    """What is said where a run cannot go on exactly."""
    try:
        run(path, ranks, resume, exact=True)
    except SnapshotError as error:
        return str(error)
    return ""


def main():
    ranks, folder = MpiRanks(MPI.COMM_WORLD), Path(sys.argv[1])
    path, state = folder / "solver.prototxt", folder / "s_iter_5.solverstate"
    if ranks.rank == 0:
        write_files(folder, max_iter=END)
    ranks.gather(None)
    found = {}
    whole, losses, _ = run(path, ranks)
    np.random.default_rng(ranks.rank).random(9)
    resumed, later, warnings = run(path, ranks, state, exact=True)
    found["bits"] = ranks.gather(whole == resumed)
    found["losses"] = all(losses[i] == later[i] for i in range(6, END))
    found["warnings"] = warnings
    # Two of the three go on, then the first alone, from what three have written.
    kept = state.read_bytes() if ranks.rank == 0 else b""
    two = MPI.COMM_WORLD.Split(int(ranks.rank < 2), ranks.rank)
    if ranks.rank < 2:
        pair = MpiRanks(two)
        found["refused"] = refused(path, pair, state)
        _, losses, found["two"] = run(path, pair, state)
        found["two agree"] = pair.gather(losses)[0] == pair.gather(losses)[1]
        if ranks.rank == 0:
            state.write_bytes(kept)
            _, _, found["one"] = run(path, None, state)
            print(json.dumps(found))
    ranks.gather(None)


main()

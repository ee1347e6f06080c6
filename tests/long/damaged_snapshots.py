"""Reads a hundred thousand damaged files: weights, solver states and means, binary and HDF5.

    python tests/long/damaged_snapshots.py [--files 20000] [--restores 3000] [--seed 1]

Each file is cut, has bits flipped, stretches overwritten, doubled or zeroed, or is random. Reading it must
end with a file that loads or with the error of its kind, in one line, within two seconds, and without taking
memory beyond some multiples of its size. Then so many damaged states and weights are restored into a solver:
each is taken, or refused with the solver as it was. 20,000 files of each kind and 3,000 restores take about
four minutes. Ends with status 1 if anything else happened.
"""

import argparse
import logging
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "solver"), str(ROOT / "tests" / "formats")]

from small_solver import everything, solver  # noqa: E402
from test_damage import KINDS  # noqa: E402

from pycaffe_lite.errors import PycaffeError  # noqa: E402
from pycaffe_lite.formats import hdf5, solverstate  # noqa: E402

HEADS = {"solverstate": solverstate.read_head, "solverstate.h5": hdf5.read_state_head}


def damage(whole, random):
    """A damaged copy of a file."""
    data = bytearray(whole)
    start, end = sorted(random.integers(0, len(data), 2).tolist())
    end = min(end, start + 64)
    match random.integers(6):
        case 0:
            del data[start:]
        case 1:
            for _ in range(random.integers(1, 4)):
                data[random.integers(len(data))] ^= 1 << random.integers(8)
        case 2:
            data[start:end] = random.bytes(end - start)
        case 3:
            data[end:] = data[start:]
        case 4:
            data[start:end] = bytes(end - start)
        case 5:
            data[:] = random.bytes(int(random.integers(1, 400)))
    return bytes(data)


def read_damaged(kind, folder, files, random):
    """Reads so many damaged files of a kind; returns how many loaded and what went wrong."""
    make, read, error = KINDS[kind]
    whole, path = make(folder), folder / "damaged"
    loaded, wrong, slowest = 0, [], 0.0
    for _ in range(files):
        data = damage(whole, random)
        path.write_bytes(data)
        for reader in filter(None, (read, HEADS.get(kind))):
            tracemalloc.start()
            start = time.perf_counter()
            try:
                reader(path)
                loaded += reader is read
            except error as problem:
                if "\n" in str(problem) or str(path) not in str(problem):
                    wrong.append(f"{problem!r}")
            except BaseException as problem:
                wrong.append(f"{type(problem).__name__}: {problem}")
            seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            slowest = max(slowest, seconds)
            if seconds > 2 or peak > 2**20 + 50 * len(data):
                wrong.append(f"{seconds:.1f} s, {peak} bytes for {len(data)}")
    return loaded, wrong, slowest


def restore_damaged(folder, restores, random):
    """Restores so many damaged snapshots; returns how many were taken and what went wrong."""
    made = solver(f"snapshot_prefix: '{folder}/s' test_iter: 1 test_interval: 100")
    made.step(3)
    state, taken, wrong = made.snapshot(), 0, []
    files = {path: path.read_bytes() for path in (state, state.with_name("s_iter_3.caffemodel"))}
    for i in range(restores):
        for path, content in files.items():
            path.write_bytes(content)
        path = list(files)[i % 2]
        path.write_bytes(damage(files[path], random))
        before = everything(made)
        try:
            made.restore(state)
            taken += 1
        except PycaffeError:
            if everything(made) != before:
                wrong.append("a refused restore has changed something")
        except BaseException as problem:
            wrong.append(f"{type(problem).__name__}: {problem}")
    return taken, wrong


def main():
    """Runs all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--restores", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable()
    random = np.random.default_rng(given.seed)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            loaded, wrong, slowest = read_damaged(kind, Path(folder), given.files, random)
            print(
                f"{kind}: {given.files} files, {loaded} load, the slowest took {slowest * 1000:.0f} ms, "
                f"{len(wrong)} went wrong {wrong[:3] or ''}",
                flush=True,
            )
            failed |= bool(wrong)
        taken, wrong = restore_damaged(folder, given.restores, random)
        print(f"{given.restores} restores, {taken} taken, {len(wrong)} went wrong {wrong[:3] or ''}")
    sys.exit(failed or bool(wrong))


if __name__ == "__main__":
    main()

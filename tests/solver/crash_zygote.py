"""Runs a training many times over and kills it: `python crash_zygote.py SOLVER PREFIX KILLS SEED [KEEP]`.

The package is imported and its kernels are loaded once; each life is a fork of this process. (So Numba's
threads must be those that survive a fork: NUMBA_THREADING_LAYER=workqueue.) A life resumes from the latest
snapshot; where the training came to its end before it was killed often enough, it begins anew. Every other
life is killed at a random moment, the others within a random few milliseconds of the beginning of a
snapshot, which they tell through a pipe. Prints how many lives were killed and in how many cases a file was
left half-written. With KEEP, the training keeps so many of its snapshots.
"""

import gc
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from pycaffe_lite.solver import find_latest_snapshot, get_solver
from pycaffe_lite.solver.base import Solver


def live(path, prefix, keep, tell):
    """One life: resume from the latest snapshot and train to the end."""
    made = get_solver(path, keep=keep)
    write = Solver.snapshot

    def snapshot(self):
        os.write(tell, b"s")
        return write(self)

    Solver.snapshot = snapshot
    made.add_callback(lambda: os.write(tell, b"i"), lambda: None)
    made.solve(find_latest_snapshot(prefix))


def spawn(path, prefix, keep):
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listen)
        status = 1
        try:
            live(path, prefix, keep, tell)
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(tell)
    return child, listen


def wait_for(listen, wanted):
    """Reads the pipe until a letter comes; False where the life ended first."""
    while letter := os.read(listen, 1):
        if letter == wanted:
            return True
    return False


def main(path, prefix, kills, seed, keep=None):
    get_solver(path).step(1)  # loads the kernels
    gc.collect()  # a database that is open here could not be opened in a fork
    chance = random.Random(seed)
    killed = half_written = 0
    while killed < kills:
        child, listen = spawn(path, prefix, keep)
        if killed % 2:
            wait_for(listen, b"i")  # the net is built, the first iteration begins
            time.sleep(chance.uniform(0, 0.15))
        else:
            for _ in range(chance.randint(1, 3)):
                wait_for(listen, b"s")
            time.sleep(chance.uniform(0, 0.004))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(listen)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status):
            sys.exit("a life ended with an error")
        else:
            for file in Path(prefix).parent.glob(f"{Path(prefix).name}_iter_*"):
                file.unlink()
        half_written += any(name.endswith(".tmp") for name in os.listdir(Path(prefix).parent))
    child, listen = spawn(path, prefix, keep)
    _, status = os.waitpid(child, 0)
    print(json.dumps({"status": status, "killed": killed, "half_written": half_written}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))

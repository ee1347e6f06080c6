"""One rank of `benchmarks.mpi`: `mpiexec -n N python -m benchmarks.mpi_rank WORK THREADS SECONDS`.

WORK is a name of `benchmarks.works`, or `all-reduce` with a number of bytes in place of THREADS.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import net_files
from benchmarks.works import BY_NAME
from pycaffe_lite.distributed.library import load_mpi
from pycaffe_lite.distributed.ranks import MpiRanks
from pycaffe_lite.distributed.reduction import ALIGN, Bucket, Exchange
from pycaffe_lite.kernels import set_num_threads
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document
from pycaffe_lite.solver import SGDSolver

WARM_UP = 3
LEAST = 5


def median(ranks: MpiRanks, step: Callable[[], object], seconds: float) -> float:
    """Milliseconds of a step that all ranks take together; each begins when all are ready."""
    times: list[float] = []
    for _ in range(WARM_UP):
        step()
    begun = time.perf_counter()
    while ranks.agree(time.perf_counter() - begun < seconds or len(times) < LEAST):
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def solver_of(name: str, ranks: MpiRanks | None) -> SGDSolver:
    """A solver for a work's net, with random data in its inputs."""
    work = BY_NAME[name]
    param = caffe_pb2.SolverParameter(base_lr=1e-3, lr_policy="fixed", momentum=0.9, weight_decay=5e-4)
    param.random_seed = net_files.SEED
    param.net_param.CopyFrom(net_files.net_message(work))
    solver = SGDSolver(Document(param), ranks=ranks)
    for blob, values in net_files.batch(work).items():
        solver.net.blobs[blob].data[...] = values
    return solver


def train(mpi: Any, ranks: MpiRanks, name: str, seconds: float) -> dict[str, float]:
    """An iteration of one rank alone, and of all, with overlap and without; and what could be hidden."""
    found: dict[str, float] = {}
    alone = solver_of(name, None)
    found["alone"] = median(ranks, partial(alone.step, 1), seconds)
    forward = median(ranks, alone.net.forward_loss, seconds / 2)
    both = median(ranks, alone.net.forward_backward, seconds / 2)
    found["backward"] = both - forward
    del alone
    if ranks.count == 1:
        return found
    for key, overlap in (("together", True), ("one after the other", False)):
        made = solver_of(name, MpiRanks(mpi.COMM_WORLD, overlap=overlap))
        found[key] = median(ranks, partial(made.step, 1), seconds)
        found["bytes"], found["bucket"] = made.reduction.bytes, made.reduction.bucket_bytes
        del made
    found["transfer"] = transfer(mpi, ranks, int(found["bytes"]), int(found["bucket"]), seconds)
    saved = found["one after the other"] - found["together"]
    found["hidden"] = saved / min(found["backward"], found["transfer"])
    return found


def transfer(mpi: Any, ranks: MpiRanks, size: int, bucket: int, seconds: float) -> float:
    """Milliseconds in which so many bytes of gradients become means, while nothing else is done."""
    exchange = Exchange(mpi.COMM_WORLD, mpi, threaded=False)
    values = np.ones(size // 4, np.float32)
    count = bucket // 4 // ALIGN * ALIGN
    buckets = [
        Bucket(values[i : i + count], ranks.count, ranks.rank, mpi.FLOAT)
        for i in range(0, values.size, count)
    ]

    def step() -> None:
        for one in buckets:
            exchange.start(one)
        exchange.finish(np.zeros(2), np.inf)

    return median(ranks, step, seconds)


def all_reduce(mpi: Any, ranks: MpiRanks, size: int, seconds: float) -> dict[str, float]:
    """MPI's own all-reduce, in whatever order, and ours in the order of the ranks."""
    values = np.ones(size // 4, np.float32)
    found = {"MPI": median(ranks, lambda: mpi.COMM_WORLD.Allreduce(mpi.IN_PLACE, values), seconds)}
    bucket = Exchange(mpi.COMM_WORLD, mpi, threaded=False).bucket_bytes(ranks.rank, ranks.count)
    found["ours"] = transfer(mpi, ranks, size, bucket, seconds)
    found["bucket"] = bucket
    return found


def main() -> None:
    """Prints what was measured as JSON, from the first rank."""
    logging.getLogger("pycaffe_lite").setLevel(logging.ERROR)
    name, number, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    mpi = load_mpi()
    ranks = MpiRanks(mpi.COMM_WORLD)
    if name == "all-reduce":
        found = all_reduce(mpi, ranks, number, seconds)
    else:
        set_num_threads(number)
        found = train(mpi, ranks, name, seconds)
    if ranks.rank == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main()

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
from typing import Any, cast

import numpy as np

from benchmarks import net_files
from benchmarks.works import BY_NAME
from pycaffe_lite.distributed.library import load_mpi
from pycaffe_lite.distributed.ranks import MpiRanks
from pycaffe_lite.distributed.reduction import ALIGN, Bucket, Exchange, MpiReduction
from pycaffe_lite.kernels import set_num_threads
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document
from pycaffe_lite.solver import SGDSolver

MESSAGES = 256
WARM_UP = 2
LEAST = 3


def medians(ranks: MpiRanks, steps: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Milliseconds of steps that all ranks take together, in turn, so that other load meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    begun, rounds = time.perf_counter(), 0
    while ranks.agree(time.perf_counter() - begun < seconds or rounds < LEAST):
        rounds += 1
        for name, step in steps.items():
            ranks.gather(None)
            start = time.perf_counter()
            step()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


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
    if not BY_NAME[name].train:
        return medians(ranks, {"forward": net_files.build(BY_NAME[name]).forward_loss}, seconds)
    alone = solver_of(name, None)
    steps: dict[str, Callable[[], object]] = {
        "alone": partial(alone.step, 1),
        "forward": alone.net.forward_loss,
        "both": alone.net.forward_backward,
    }
    sizes = {}
    if ranks.count > 1:
        made = solver_of(name, ranks)
        plain = solver_of(name, MpiRanks(mpi.COMM_WORLD, overlap=False))
        steps["together"], steps["one after the other"] = partial(made.step, 1), partial(plain.step, 1)
        reduction = cast(MpiReduction, made.reduction)
        sizes = {"bytes": reduction.bytes, "bucket": reduction.bucket_bytes}
        steps["transfer"] = transfer(mpi, ranks, reduction.bytes, reduction.bucket_bytes)
        steps["messages"] = partial(messages, mpi, ranks)
    found = medians(ranks, steps, seconds)
    found["backward"] = found["both"] - found["forward"]
    if ranks.count > 1:
        both = found["alone"] + found["transfer"] - found["together"]
        found["hidden"] = both / min(found["backward"], found["transfer"])
    return {**found, **sizes}


def messages(mpi: Any, ranks: MpiRanks) -> None:
    """Exchanges MESSAGES empty messages with a neighbour, all at once."""
    other = (ranks.rank + ranks.count // 2) % ranks.count
    nothing = np.empty(0, np.float32)
    requests = [mpi.COMM_WORLD.Irecv(nothing, other) for _ in range(MESSAGES)]
    requests += [mpi.COMM_WORLD.Isend(nothing, other) for _ in range(MESSAGES)]
    mpi.Request.Waitall(requests)


def transfer(mpi: Any, ranks: MpiRanks, size: int, bucket: int) -> Callable[[], object]:
    """Makes so many bytes of gradients means, while nothing else is done."""
    exchange = Exchange(mpi.COMM_WORLD, mpi, threaded=False)
    values = np.ones(size // 4, np.float32)
    count = bucket // 4 // ALIGN * ALIGN
    stretches = [values[i : i + count] for i in range(0, values.size, count)]
    buckets = [Bucket(stretch, ranks.count, ranks.rank, mpi.FLOAT) for stretch in stretches]

    def step() -> None:
        for one in buckets:
            exchange.start(one)
        exchange.finish(np.zeros(2), np.inf)

    return step


def all_reduce(mpi: Any, ranks: MpiRanks, size: int, seconds: float) -> dict[str, float]:
    """MPI's own all-reduce, in whatever order, and ours in the order of the ranks."""
    values = np.ones(size // 4, np.float32)
    best = Exchange(mpi.COMM_WORLD, mpi, threaded=False).bucket_bytes(ranks.rank, ranks.count)
    steps = {
        "MPI": lambda: mpi.COMM_WORLD.Allreduce(mpi.IN_PLACE, values),
        "ours": transfer(mpi, ranks, size, best),
    }
    return {**medians(ranks, steps, seconds), "bucket": best}


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

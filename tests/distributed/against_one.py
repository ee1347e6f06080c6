"""Run on several ranks: trains, and compares with one solver that computes as many batches an iteration.

    mpiexec -n N python against_one.py FOLDER

The first rank prints, for each case, by how much the weights differ, relative to the largest.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from small_nets import RULES, write_nets  # noqa: E402

from pycaffe_lite import get_solver  # noqa: E402
from pycaffe_lite.distributed.library import load_mpi  # noqa: E402
from pycaffe_lite.distributed.ranks import MpiRanks  # noqa: E402
from pycaffe_lite.proto import caffe_pb2  # noqa: E402
from pycaffe_lite.proto.prototxt import parse  # noqa: E402

CLIP = 0.5  # below the norm of the gradients, so that it acts


def settings(folder, net, rule, iter_size, clip=0.0):
    text = f'net: "{folder}/{net}.prototxt" lr_policy: "fixed" max_iter: 4 random_seed: 7 {RULES[rule]} '
    text += f"snapshot_after_train: false iter_size: {iter_size} "
    if clip:
        text += f"clip_gradients: {clip}"
    return parse(text, caffe_pb2.SolverParameter).message


def weights(made):
    return np.concatenate([blob.data.ravel() for blob in made.net.learnable_params])


def trained(message, **options):
    made = get_solver(message, **options)
    made.step(4)
    return made


def difference(folder, ranks, net, rule, iter_size=1, clip=0.0):
    """By how much the weights of all ranks together, and of one solver, differ."""
    together = trained(settings(folder, net, rule, iter_size, clip), comm=load_mpi().COMM_WORLD)
    mine = weights(together)
    alike = all(other.tobytes() == mine.tobytes() for other in ranks.gather(mine))
    losses = ranks.gather(together.smoothed_loss)
    if ranks.rank:
        return None
    # N ranks clip the mean of their gradients, one solver clips the sum.
    alone = trained(settings(folder, net, rule, iter_size * ranks.count, clip * ranks.count))
    one = weights(alone)
    start = weights(get_solver(settings(folder, net, rule, 1)))
    return {
        "difference": float(np.abs(mine - one).max() / np.abs(one).max()),
        "learned": float(np.abs(start - one).max() / np.abs(one).max()),
        "loss": abs(losses[0] - alone.smoothed_loss),
        "alike": alike and len(set(losses)) == 1,
    }


def main():
    ranks = MpiRanks(load_mpi().COMM_WORLD)
    folder = Path(sys.argv[1])
    if ranks.rank == 0:
        write_nets(folder)
    ranks.gather(None)
    cases = {
        "lenet SGD": ("lenet", "SGD"),
        "lenet Adam": ("lenet", "Adam"),
        "shared SGD": ("shared", "SGD", 2),
        "shared Adam": ("shared", "Adam", 2),
        "clip": ("shared", "SGD", 1, CLIP / 10),
    }
    found = {name: difference(folder, ranks, *case) for name, case in cases.items()}
    if ranks.rank == 0:
        print(json.dumps(found))


main()

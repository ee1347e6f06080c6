"""pycaffe-lite's side."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import net_files
from benchmarks.works import Work
from pycaffe_lite.kernels import set_num_threads
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document
from pycaffe_lite.solver import SGDSolver


def prepare(work: Work, threads: int) -> Callable[[], object]:
    """One step of the work, to be called again and again."""
    set_num_threads(threads)
    if not work.train:
        return net_files.build(work).forward_loss
    from pycaffe_lite import random

    random.set_random_seed(net_files.SEED)
    param = caffe_pb2.SolverParameter(base_lr=1e-3, lr_policy="fixed", momentum=0.9, weight_decay=5e-4)
    param.net_param.CopyFrom(net_files.net_message(work))
    solver = SGDSolver(Document(param))
    for name, values in net_files.batch(work).items():
        solver.net.blobs[name].data[...] = values
    return lambda: solver.step(1)

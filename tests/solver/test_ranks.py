"""What a solver makes sure of among ranks, with ranks that stand in for real ones."""

import numpy as np
import pytest
from small_data import write_files

from pycaffe_lite.data.share import Share
from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net
from pycaffe_lite.solver import get_solver
from pycaffe_lite.solver.ranks import check_agreement, check_weights, seed_of, split_batches


class Two:
    """Rank 0 of two, which hears from rank 1 what `other` makes of its own values."""

    rank, count, share = 0, 2, Share(0, 2)

    def __init__(self, other):
        self._other = other

    def name(self, rank):
        return f"rank {rank} on host 'h{rank}'"

    def gather(self, value):
        return [value, self._other(value)]


def test_agreement():
    check_agreement(Two(dict), {"the net": "a"})
    with pytest.raises(SolverError) as caught:
        check_agreement(Two(lambda facts: {"the net": "one\ntwo\nthree"}), {"the net": "one\nzwei\nthree"})
    assert str(caught.value) == (
        "the ranks differ in the net: rank 1 on host 'h1' has 'two' in line 2, rank 0 on host 'h0' has 'zwei'"
    )
    with pytest.raises(SolverError, match=r"rank 1 on host 'h1' has no more in line 2, rank 0 .* has 'two'"):
        check_agreement(Two(lambda facts: {"the net": "one"}), {"the net": "one\ntwo"})


def test_weights_that_went_apart(tmp_path):
    net = get_solver(write_files(tmp_path)).net
    check_weights(Two(lambda marks: list(marks)), net)
    with pytest.raises(SolverError, match="the weights of rank 1 on host 'h1' are no longer those of rank 0"):
        check_weights(Two(lambda marks: [np.nextafter(marks[0], 9), *marks[1:]]), net)


def test_seeds():
    assert [seed_of(None, 5), seed_of(Two(None), 5), seed_of(None, -2)] == [5, 5, 2**32 - 2]


def test_split_batches(tmp_path):
    write_files(tmp_path)
    document = read_net(tmp_path / "net.prototxt")
    document.message.state.phase = caffe_pb2.TRAIN
    with pytest.raises(SolverError) as caught:
        split_batches(document, 2)
    assert str(caught.value) == (
        f"{tmp_path}/net.prototxt:3: layer 'data': batch_size 5 cannot be split over 2 ranks: make it a "
        "multiple, or let each rank have it whole"
    )
    split_batches(document, 5)
    sizes = [layer.data_param.batch_size for layer in document.message.layer if layer.type == "Data"]
    assert sizes == [1, 3]  # the test net's is left as it is

"""A solver's state is the same in either of Caffe's two formats."""

import numpy as np
import pytest

from pycaffe_lite.formats import hdf5, solverstate
from pycaffe_lite.formats.state import SolverState

HISTORY = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((4,), 0.1, np.float32)


@pytest.mark.parametrize(
    ("write", "read"), [(solverstate.write, solverstate.read), (hdf5.write_state, hdf5.read_state)]
)
@pytest.mark.parametrize("resume", [None, b"what Caffe's files lack"])
def test_there_and_back(tmp_path, write, read, resume):
    state = SolverState(7, "net_iter_7.caffemodel", 2, HISTORY, resume)
    write(tmp_path / "x", state)
    again = read(tmp_path / "x")
    assert (again.iter, again.learned_net, again.current_step) == (7, "net_iter_7.caffemodel", 2)
    assert again.resume == resume
    for values, right in zip(again.history, HISTORY, strict=True):
        np.testing.assert_array_equal(values, right, strict=True)

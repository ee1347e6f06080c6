"""Five ranks killed at random moments; tests/long/kill_ranks.py does so a hundred times."""

import sys

import numpy as np
import pytest
from killing import end_of, kill_and_resume, prepare, start

pytestmark = [
    pytest.mark.ranks,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]


def test_no_hang_no_lost_snapshot_the_same_end(tmp_path):
    whole, killed = prepare(tmp_path / "whole"), prepare(tmp_path / "killed")
    assert start(whole, 2).wait(100) == 0
    kill_and_resume(killed, 2, kills=5, seed=1)  # which fails where the others do not end
    assert np.array_equal(end_of(whole), end_of(killed))

"""Resuming on several ranks: bitwise the undisturbed run; on another number of them, as far as that goes."""

import pytest

pytestmark = pytest.mark.ranks

OTHERS = (
    "3 ranks wrote it, and %d go on: an iteration has other records, though each comes once an epoch as "
    "before; and crops, mirroring and dropout are drawn anew, but on rank 0"
)


def test_going_on(run_ranks, tmp_path):
    found = run_ranks(3, "going_on.py", tmp_path)
    assert found["bits"] == [True] * 3
    assert found["losses"]
    assert not found["warnings"]
    assert found["refused"] == (f"'{tmp_path}/s_iter_5.solverstate' cannot be resumed exactly: {OTHERS % 2}")
    assert found["two"] == [OTHERS % 2]
    assert found["two agree"]
    assert found["one"] == [OTHERS % 1]

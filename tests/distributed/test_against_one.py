"""N ranks train as one solver does that computes N times as many batches in an iteration."""

import pytest

pytestmark = pytest.mark.ranks


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_same_weights(run_ranks, tmp_path, ranks):
    for case, found in run_ranks(ranks, "against_one.py", tmp_path).items():
        assert found["learned"] > 1e-3, case
        assert found["difference"] < 1e-6, case
        assert found["loss"] < 1e-6, case
        assert found["alike"], case

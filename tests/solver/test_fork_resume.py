"""Solvers of forks go on exactly from a snapshot: what they keep beyond Caffe's state is in it."""

import logging

import numpy as np
import pytest
from small_solver import solver, weights

from pycaffe_lite.formats import hdf5, solverstate
from pycaffe_lite.solver import snapshot

CASES = {
    "plateau": "lr_policy: 'plateau' gamma: 0.5 plateau_winsize: 1 plateau_winsize: 2 average_loss: 2",
    "sgdr": "lr_policy: 'sgdr' period: 2 p_mult: 2 lr_mult: 0.5",
    "lookahead": "lookahead: true lookahead_steps: 4 lookahead_alpha: 0.25",
    "larc": "larc: true larc_eta: 0.1 larc_turbo: true",
    "lr_dropout": "lr_dropout: 0.5",
    "warm-up": "warmup_iter: 7 warmup_start_lr: 0.01",
    "decoupled": "weight_decay: 0.1 regularization_type: 'decoupled' decoupled_wd_t0: 2",
}


@pytest.mark.parametrize("kind", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("name", CASES)
def test_goes_on_exactly(tmp_path, name, kind):
    text = f"{CASES[name]} snapshot_prefix: '{tmp_path}/s' snapshot_format: {kind}"
    whole = solver(text)
    whole.step(5)
    state = whole.snapshot()
    whole.step(6)
    resumed = solver(text)
    resumed.restore(state, exact=True)
    resumed.step(6)
    assert resumed.progress == whole.progress
    for one, other in zip(weights(resumed.net), weights(whole.net), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_state_has_ssds_fields_where_the_policy_needs_them(tmp_path):
    made = solver(f"{CASES['plateau']} snapshot_prefix: '{tmp_path}/s'")
    made.step(3)
    state = solverstate.read(made.snapshot())
    assert state.minimum_loss == pytest.approx(made.progress.minimum_loss, rel=1e-7)
    assert state.iter_last_event == made.progress.last_event
    plain = solver(f"snapshot_prefix: '{tmp_path}/t'")
    state = solverstate.read(plain.snapshot())
    assert (state.minimum_loss, state.iter_last_event) == (None, None)


def test_a_state_of_ssds_fork(tmp_path):
    """Written without what ours hold beyond it."""
    made = solver(f"{CASES['plateau']} snapshot_prefix: '{tmp_path}/s'")
    made.step(3)
    path = made.snapshot()
    content = snapshot.read_state(path)
    for write, file in ((solverstate.write, "f.solverstate"), (hdf5.write_state, "f.solverstate.h5")):
        plain = content.__class__(
            3, content.learned_net, 1, content.history, minimum_loss=0.25, iter_last_event=2
        )
        write(tmp_path / file, plain)
        again = solver(CASES["plateau"])
        again.restore(tmp_path / file)
        assert again.progress[:3] == (1, 0.25, 2)


def test_what_starts_afresh_is_said(tmp_path, caplog):
    made = solver(f"snapshot_prefix: '{tmp_path}/s'")
    made.step(1)
    path = made.snapshot()
    other = solver(CASES["lookahead"])
    other.step(2)
    with caplog.at_level(logging.WARNING, "pycaffe_lite.solver"):
        other.restore(path)
    assert other.lookahead.count == 0
    assert "lookahead starts afresh: no state of it that fits the net was saved" in caplog.messages

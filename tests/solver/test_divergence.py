"""NaN and infinity in a run: noticed, located, and not written over the last good snapshot."""

import numpy as np
import pytest
from small_solver import NET, solver

from pycaffe_lite.errors import SolverError

ADVICE = "; a lower base_lr or clip_gradients may help, and the last snapshot is untouched"


def poison(made, at, what):
    """Spoils a run just before the forward pass of an iteration."""

    def on_start():
        if made.iter == at:
            what(made.net)

    made.add_callback(on_start, lambda: None)


def bad_input(net):
    net.blobs["data"].data[1, 1] = np.nan


def bad_weight(net):
    net.params["ip2"][1].data[0] = np.inf


def huge_weights(net):
    for blobs in net.params.values():
        blobs[0].data[...] = 1e38


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            bad_input,
            "iteration 2: the loss became nan: it arose in top blob 'data', made by layer 'data' (Input)",
        ),
        (
            bad_weight,
            "iteration 2: the loss became nan: blob 1 of layer 'ip2' (InnerProduct) is no longer finite",
        ),
        (
            huge_weights,
            "iteration 2: the loss became nan: "
            "it arose in top blob 'score', made by layer 'ip2' (InnerProduct)",
        ),
    ],
    ids=["input", "weight", "overflow"],
)
def test_the_first_layer_is_named(what, message):
    made = solver()
    poison(made, 2, what)
    with pytest.raises(SolverError) as caught:
        made.step(5)
    assert str(caught.value) == message + ADVICE
    assert made.iter == 2


def test_an_in_place_layer_shares_the_blame():
    made = solver(net=NET.replace('"TanH"', '"Log"'))
    poison(made, 0, lambda net: net.params["ip1"][0].data.fill(-1))
    with pytest.raises(SolverError) as caught:
        made.step(1)
    assert str(caught.value) == (
        "iteration 0: the loss became nan: it arose in top blob 'h', made by layer 'ip1' (InnerProduct) "
        "or, in place, by layer 'tanh' (Log)" + ADVICE
    )


def test_weights_that_become_infinite_are_noticed_before_the_next_loss():
    made = solver("base_lr: 1e38 clip_gradients: -1")
    made.net.params["ip1"][0].diff[...] = 0

    def spoil():
        made.net.params["ip2"][0].diff[...] = 1e10

    made.add_callback(lambda: None, spoil)
    with pytest.raises(SolverError) as caught:
        made.step(5)
    assert str(caught.value) == (
        "iteration 0: a weight became infinite or NaN: "
        "it arose in the gradients of layer 'ip2' (InnerProduct)" + ADVICE
    )


def test_the_last_snapshot_stays(tmp_path):
    made = solver(f"snapshot: 2 snapshot_prefix: '{tmp_path}/s'")
    poison(made, 3, bad_input)
    with pytest.raises(SolverError):
        made.solve()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s_iter_2.caffemodel", "s_iter_2.solverstate"]


def test_warn_says_it_once_and_goes_on(caplog):
    made = solver(on_nan="warn")
    poison(made, 1, bad_input)
    with caplog.at_level("WARNING"):
        made.step(4)
    assert made.iter == 4
    (line,) = [m for m in caplog.messages if m.startswith("iteration")]
    assert line == (
        "iteration 1: the loss became nan: it arose in top blob 'data', made by layer 'data' (Input)" + ADVICE
    )


def test_ignore_says_nothing(caplog):
    made = solver(on_nan="ignore")
    poison(made, 1, bad_input)
    made.step(3)
    assert made.iter == 3
    assert not [m for m in caplog.messages if m.startswith("iteration")]

"""Going on exactly: a run that stopped and resumed ends with the same bits as one that did not.

The net reads a database with random crops and mirrored images and drops units; one of its two test nets
reads records too, the other draws noise from the main stream. All of that must go on from where it was.
"""

import numpy as np
import pytest
from small_data import write_files

from pycaffe_lite import random
from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.io import solverstate
from pycaffe_lite.solver import Action, get_solver

TYPES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
END = 12


def run(path, resume=None, **options):
    """Solves; returns the solver and, by iteration, all that can be seen: losses and test scores."""
    made = get_solver(path, **options)
    seen = {}
    made.add_callback(lambda: None, lambda: seen.update({("loss", made.iter): made.smoothed_loss}))
    made.after_test.append(
        lambda index, scores: seen.update({("test", made.iter, index): [s.value for s in scores]})
    )
    made.solve(resume)
    return made, seen


def assert_same_end(one, two):
    assert (one.iter, one.current_step, one.smoothed_loss) == (two.iter, two.current_step, two.smoothed_loss)
    for a, b in zip(one.history, two.history, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, blobs in one.net.params.items():
        for a, b in zip(blobs, two.net.params[name], strict=True):
            np.testing.assert_array_equal(a.data, b.data)


def assert_goes_on(whole, resumed, first):
    """All that was seen from iteration `first` on is the same."""
    assert resumed == {key: value for key, value in whole.items() if key[1] >= first}


@pytest.mark.parametrize("kind", TYPES)
def test_every_solver_type(tmp_path, kind):
    unbroken, whole = run(write_files(tmp_path, type=kind, max_iter=END))
    random.stream().raw_array(7)  # what else happens in the process does not matter
    resumed, seen = run(tmp_path / "solver.prototxt", f"{tmp_path}/s_iter_5.solverstate")
    assert_same_end(unbroken, resumed)
    assert_goes_on(whole, seen, 5)


def test_hdf5(tmp_path):
    path = write_files(tmp_path)
    path.write_text(path.read_text() + "snapshot_format: HDF5")
    unbroken, whole = run(path)
    resumed, seen = run(path, f"{tmp_path}/s_iter_5.solverstate.h5")
    assert_same_end(unbroken, resumed)
    assert_goes_on(whole, seen, 5)


def test_a_longer_run_after_the_end_is_the_longer_run(tmp_path):
    unbroken, whole = run(write_files(tmp_path, max_iter=END, snapshot=0))
    run(write_files(tmp_path, max_iter=6, snapshot=0))
    resumed, seen = run(write_files(tmp_path, max_iter=END, snapshot=0), f"{tmp_path}/s_iter_6.solverstate")
    assert_same_end(unbroken, resumed)
    assert_goes_on(whole, seen, 6)


def test_several_stops(tmp_path):
    unbroken, _ = run(write_files(tmp_path, snapshot=1))
    resume = None
    for stop in (1, 4, 5, 11, END):
        made, _ = run(write_files(tmp_path, max_iter=stop, snapshot=0), resume)
        resume = f"{tmp_path}/s_iter_{stop}.solverstate"
    assert_same_end(unbroken, made)


@pytest.mark.parametrize("polls", [7, 8, 10, 11])
def test_stopped_or_snapshot_in_the_middle_of_a_test(tmp_path, polls):
    """Iteration 3 is tested after three updates' polls: poll 7 is its first batch, 10 its fourth."""
    unbroken, whole = run(write_files(tmp_path, snapshot=0))
    for action in (Action.STOP, Action.SNAPSHOT):
        left = [Action.NONE] * polls + [action]
        made, _ = run(
            tmp_path / "solver.prototxt",
            action_request=lambda left=left: left.pop(0) if left else Action.NONE,
        )
        if action is Action.STOP:
            assert made.iter == 3
        resumed, seen = run(tmp_path / "solver.prototxt", f"{tmp_path}/s_iter_3.solverstate")
        assert_same_end(unbroken, resumed)
        assert_goes_on(whole, seen, 3)


def test_caffes_state_begins_with_the_first_record(tmp_path):
    path = write_files(tmp_path)
    _, whole = run(path)
    state = solverstate.read(tmp_path / "s_iter_5.solverstate")
    solverstate.write(
        tmp_path / "plain.solverstate",
        state.__class__(state.iter, state.learned_net, state.current_step, state.history),
    )
    resumed, seen = run(path, tmp_path / "plain.solverstate")
    assert resumed.iter == END
    assert seen["loss", 5] != whole["loss", 5]


def test_another_window_starts_afresh(tmp_path):
    path = write_files(tmp_path)
    run(path)
    path.write_text(path.read_text().replace("average_loss: 4", "average_loss: 3"))
    resumed = get_solver(path)
    resumed.restore(f"{tmp_path}/s_iter_5.solverstate")
    resumed.step(1)
    assert (resumed.window.start, len(resumed.window.losses)) == (5, 1)


def test_the_state_of_a_layer_that_is_not_there(tmp_path):
    run(write_files(tmp_path))
    net = tmp_path / "net.prototxt"
    net.write_text(net.read_text().replace('name: "data"', 'name: "renamed"'))
    made = get_solver(tmp_path / "solver.prototxt")
    path = f"{tmp_path}/s_iter_5.solverstate"
    before = made.net.params["ip1"][0].data.copy()
    with pytest.raises(SnapshotError) as caught:
        made.restore(path)
    np.testing.assert_array_equal(made.net.params["ip1"][0].data, before)
    assert str(caught.value) == f"'{path}': it holds the state of layer 'data', which the train net lacks"

"""Going on exactly: a run that stopped and resumed ends with the same bits as one that did not.

The net reads a database with random crops and mirrored images and drops units; one of its two test nets
reads records too, the other draws noise from the main stream. All of that must go on from where it was.
"""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_data import write_database, write_files
from small_solver import everything

from pycaffe_lite import random
from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.formats import solverstate, wire
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.solver import Action, continuation, get_solver
from pycaffe_lite.solver.continuation import Continuation, LayerState

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


# ----------------------------------------------------------------- after an edit of net, data or settings


def remade(**database):
    """Makes the database anew, with other images and perhaps other keys."""

    def edit(folder):
        shutil.rmtree(folder / "db")
        write_database(folder, seed=2, **database)

    return edit


def edited(file, *replacements):
    """Replaces text in a file."""

    def edit(folder):
        text = (folder / file).read_text()
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        (folder / file).write_text(text)

    return edit


def unedited(folder):
    """Leaves all as it is."""


TRAIN_DATA = 'name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }'
DUMMY = """name: "data" type: "DummyData" top: "data" top: "label" include { phase: TRAIN }
           dummy_data_param { shape { dim: 5 dim: 1 dim: 6 dim: 6 } shape { dim: 5 }
                              data_filler { type: "gaussian" } data_filler { } } }
           layer { name: "idle" type: "Data" top: "idle" include { phase: TRAIN }"""
RANDOM, PLAIN = "crop_size: 6 mirror: true", "crop_size: 6"
NET_0 = "layer 'data' (Data) of test net #0"
NO_KEY_4 = "its first record comes next: LMDB '{}/db' has no record with the key '00000004'"
NO_KEY_12 = "its first record comes next: LMDB '{}/db' has no record with the key '00000012'"
NEW_DRAWS = "its random crops and mirroring start afresh"
UNUSED = "is gone: its saved state is not used"
NOT_SAVED = "starts afresh: no state of it was saved"

# What is done before the run and after it, and what then starts afresh.
EDITS = {
    "nothing": (unedited, unedited, []),
    "database remade": (unedited, remade(), []),
    "database replaced": (
        unedited,
        remade(first=500),
        [f"layer 'data' (Data) of the train net: {NO_KEY_4}", f"{NET_0}: {NO_KEY_12}"],
    ),
    "database made smaller": (unedited, remade(records=8), [f"{NET_0}: {NO_KEY_12}"]),
    "mirror added": (
        edited("net.prototxt", RANDOM, PLAIN),
        edited("net.prototxt", PLAIN, RANDOM),
        [f"{NET_0}: {NEW_DRAWS}"],  # the train net's crops have drawn already
    ),
    "mirror and crop added": (
        edited("net.prototxt", RANDOM, "", "dim: 6", "dim: 8"),
        edited("net.prototxt", "scale", "crop_size: 8 mirror: true scale"),
        [f"layer 'data' (Data) of the train net: {NEW_DRAWS}", f"{NET_0}: {NEW_DRAWS}"],
    ),
    "mirror removed": (unedited, edited("net.prototxt", RANDOM, PLAIN), []),
    "data layer renamed": (
        unedited,
        edited("net.prototxt", TRAIN_DATA, TRAIN_DATA.replace("data", "images", 1)),
        [f"layer 'data' of the train net {UNUSED}", f"layer 'images' (Data) of the train net {NOT_SAVED}"],
    ),
    "data layer of another type": (
        unedited,
        edited("net.prototxt", TRAIN_DATA, DUMMY),
        [
            "layer 'data' (DummyData) of the train net: its saved state is not used: it was of type Data",
            f"layer 'idle' (Data) of the train net {NOT_SAVED}",
        ],
    ),
    "tests dropped": (
        unedited,
        edited(
            "solver.prototxt",
            *("test_iter: 2 test_iter: 3", "", 'test_state { } test_state { stage: "noise" }', ""),
        ),
        [f"test net #0 {UNUSED}"],
    ),
    "one test dropped": (
        unedited,
        edited("solver.prototxt", "test_iter: 3", "", 'test_state { stage: "noise" }', ""),
        [],
    ),
    "a test added": (
        unedited,
        edited(
            "solver.prototxt",
            *("test_iter: 3", "test_iter: 3 test_iter: 1", '"noise" }', '"noise" } test_state { }'),
        ),
        [f"layer 'data' (Data) of test net #2 {NOT_SAVED}"],
    ),
    "batch size": (unedited, edited("net.prototxt", "batch_size: 5", "batch_size: 7"), []),
    "rate policy": (
        unedited,
        edited("solver.prototxt", '"multistep"', '"inv" power: 0.5', "0.01", "0.02"),
        [],
    ),
    "smoothing": (
        unedited,
        edited("solver.prototxt", "average_loss: 4", "average_loss: 3"),
        ["the smoothed loss starts afresh: average_loss was 4, now it is 3"],
    ),
    "another activation": (
        unedited,
        edited("net.prototxt", '"relu" type: "ReLU"', '"s" type: "Sigmoid"'),
        [],
    ),
    "layer with weights renamed": (
        unedited,
        edited("net.prototxt", 'name: "ip1"', 'name: "fresh"'),
        ["layer 'fresh' starts afresh: '{}/s_iter_5.caffemodel' has no weights for it"],
    ),
    "solver type": (
        unedited,
        edited("solver.prototxt", '"SGD"', '"Nesterov"'),
        [
            "the history was written by a solver of type SGD, "
            "and this one of type Nesterov goes on with it as if it were its own"
        ],
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_everyday_edits(tmp_path, what, caplog):
    """They resume, and say what starts afresh; with `exact` they are refused, and nothing has changed."""
    before, after, afresh = EDITS[what]
    path = write_files(tmp_path)
    before(tmp_path)
    interrupted = get_solver(path)
    interrupted.step(5)
    interrupted.snapshot()
    after(tmp_path)
    made = get_solver(path)
    made.step(1)
    state, start = tmp_path / "s_iter_5.solverstate", everything(made)
    afresh = [line.format(tmp_path) for line in afresh]
    if afresh:
        with pytest.raises(SnapshotError) as caught:
            made.restore(state, exact=True)
        assert str(caught.value) == f"'{state}' cannot be resumed exactly: {'; '.join(afresh)}"
        assert everything(made) == start
    else:
        made.restore(state, exact=True)
    caplog.clear()
    made.restore(state)
    assert caplog.messages == afresh
    assert made.iter == 5
    np.testing.assert_array_equal(made.net.params["ip2"][0].data, interrupted.net.params["ip2"][0].data)
    made.step(2)
    assert made.iter == 7


LSTM = """
    net_param {{
    layer {{ name: "data" type: "DummyData" top: "x" top: "cont" top: "t"
            dummy_data_param {{ shape {{ dim: 5 dim: {N} dim: 3 }} shape {{ dim: 5 dim: {N} }}
                               shape {{ dim: 5 dim: {N} dim: 4 }}
                               data_filler {{ type: "gaussian" }} data_filler {{ value: 1 }}
                               data_filler {{ }} }} }}
    layer {{ name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
            recurrent_param {{ num_output: 4 weight_filler {{ type: "uniform" min: -0.5 max: 0.5 }} }} }}
    layer {{ name: "loss" type: "EuclideanLoss" bottom: "h" bottom: "t" top: "loss" }} }}
    base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 snapshot_prefix: "{folder}/s"
"""


def test_another_number_of_sequences(tmp_path, caplog):
    def made(sequences):
        text = LSTM.format(N=sequences, folder=tmp_path)
        return get_solver(parse(text, caffe_pb2.SolverParameter).message)

    one = made(2)
    one.step(3)
    state = one.snapshot()
    line = (
        "layer 'lstm' (LSTM) of the train net: its hidden state starts at zero: "
        "the one saved is of 2 sequences, now there are 7"
    )
    other, again = made(7), made(2)
    other.step(1)
    with pytest.raises(SnapshotError, match=re.escape(line)):
        other.restore(state, exact=True)
    assert any(other.net.layer_dict["lstm"].state())
    other.restore(state)
    again.restore(state, exact=True)
    assert caplog.messages == [line]
    lstms = [each.net.layer_dict["lstm"] for each in (one, other, again)]
    assert not any(lstms[1].state())
    assert lstms[2].state() == lstms[0].state()
    other.step(2)
    assert other.iter == 5


def test_states_of_earlier_versions(tmp_path, caplog):
    """They lack the types of layers and solver, the run and the time, and go on exactly all the same."""
    unbroken, whole = run(write_files(tmp_path))
    state = solverstate.read(tmp_path / "s_iter_5.solverstate")
    beyond = continuation.decode(state.resume)
    layers = {place: LayerState("", layer.state) for place, layer in beyond.layers.items()}
    older = Continuation(beyond.random, beyond.window, layers, beyond.fingerprint)
    resume = without_fields(continuation.encode(older), 6, 7, 8, 9)
    path = tmp_path / "older.solverstate"
    solverstate.write(path, replace(state, resume=resume))
    resumed, seen = run(tmp_path / "solver.prototxt", path)
    assert_same_end(unbroken, resumed)
    assert_goes_on(whole, seen, 5)
    assert caplog.messages == []
    get_solver(tmp_path / "solver.prototxt").restore(path, exact=True)


def without_fields(message, *numbers):
    buffer = memoryview(message)
    kept, start = b"", 0
    for field in wire.fields(buffer, 0, len(buffer)):
        if field.number not in numbers:
            kept += message[start : field.end]
        start = field.end
    return kept


def test_a_state_of_caffes_is_not_exact(tmp_path):
    path = write_files(tmp_path)
    run(path)
    state = solverstate.read(tmp_path / "s_iter_5.solverstate")
    solverstate.write(tmp_path / "plain", replace(state, resume=None))
    with pytest.raises(SnapshotError) as caught:
        get_solver(path).restore(tmp_path / "plain", exact=True)
    assert str(caught.value) == (
        f"'{tmp_path}/plain' cannot be resumed exactly: it is a state as Caffe writes it: "
        "places in the data, random numbers and the smoothed loss start afresh"
    )


def test_a_layer_whose_state_fails_is_no_reason_to_refuse(tmp_path, caplog, monkeypatch):
    def fail(self, state):
        raise ValueError("not mine")

    path = write_files(tmp_path)
    run(path)
    made = get_solver(path)
    monkeypatch.setattr(type(made.net.layers[0]), "set_state", fail)
    made.restore(tmp_path / "s_iter_5.solverstate")
    assert caplog.messages == [
        f"layer 'data' (Data) of {net}: it starts afresh: ValueError: not mine"
        for net in ("the train net", "test net #0")
    ]
    assert made.iter == 5

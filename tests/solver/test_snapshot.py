"""Snapshots: what is in the files, and going back to them."""

import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_solver import NET, everything, solver, weights

from pycaffe_lite.errors import ArgumentError, FileLookupError, SnapshotError, WeightsError
from pycaffe_lite.formats import hdf5, solverstate
from pycaffe_lite.formats.blobproto import array_of
from pycaffe_lite.formats.caffemodel import fork_of, read
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import find_latest_snapshot
from pycaffe_lite.solver.snapshot import check_folder

TYPES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
NO_MOMENTUM = ("AdaGrad", "RMSProp")


def trained(folder, iterations=3, text="", **options):
    made = solver(f"snapshot_prefix: '{folder}/s' max_iter: {iterations} {text}", **options)
    made.solve()
    return made


def message_of(path, message_class):
    return message_class.FromString(Path(path).read_bytes())


def test_the_model_field_by_field(tmp_path):
    made = trained(tmp_path)
    model = message_of(tmp_path / "s_iter_3.caffemodel", caffe_pb2.NetParameter)
    assert model.name == "small"
    assert [layer.name for layer in model.layer] == list(made.net.layer_names)
    assert [layer.type for layer in model.layer] == [layer.type for layer in made.net.layers]
    assert {layer.phase for layer in model.layer} == {caffe_pb2.TRAIN}
    assert model.layer[-1].loss_weight == [1]
    for stored in model.layer:
        for message, blob in zip(stored.blobs, made.net.layer_dict[stored.name].blobs, strict=True):
            np.testing.assert_array_equal(array_of(message), blob.data, strict=True)
            assert message.HasField("shape")
            assert not message.diff


def test_the_state_field_by_field(tmp_path):
    made = trained(tmp_path, text="lr_policy: 'multistep' gamma: 0.5 stepvalue: 1")
    state = message_of(tmp_path / "s_iter_3.solverstate", caffe_pb2.SolverState)
    assert state.iter == 3
    assert state.learned_net == f"{tmp_path}/s_iter_3.caffemodel"
    assert state.current_step == 1
    for message, history in zip(state.history, made.history, strict=True):
        np.testing.assert_array_equal(array_of(message), history, strict=True)
    known = caffe_pb2.SolverState()
    known.CopyFrom(state)
    known.DiscardUnknownFields()
    assert known.ByteSize() < state.ByteSize()


def test_diffs_on_request(tmp_path):
    made = trained(tmp_path, text="snapshot_diff: true")
    model = message_of(tmp_path / "s_iter_3.caffemodel", caffe_pb2.NetParameter)
    stored = next(layer for layer in model.layer if layer.name == "ip1")
    np.testing.assert_array_equal(stored.blobs[0].diff, made.net.params["ip1"][0].diff.ravel())


def test_hdf5(tmp_path):
    made = trained(tmp_path, text="snapshot_format: HDF5")
    assert sorted(os.listdir(tmp_path)) == ["s_iter_3.caffemodel.h5", "s_iter_3.solverstate.h5"]
    with h5py.File(tmp_path / "s_iter_3.solverstate.h5") as file:
        assert file["iter"][()].tolist() == [3]
        assert file["learned_net"][()] == f"{tmp_path}/s_iter_3.caffemodel.h5".encode()
        np.testing.assert_array_equal(file["history/1"][()], made.history[1])
    with h5py.File(tmp_path / "s_iter_3.caffemodel.h5") as file:
        np.testing.assert_array_equal(file["data/ip2/0"][()], made.net.params["ip2"][0].data)


def test_lines_and_times_of_snapshots(tmp_path, caplog):
    made = solver(f"snapshot_prefix: '{tmp_path}/s' max_iter: 5 snapshot: 2")
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        made.solve()
    assert [line for line in caplog.messages if line.startswith("Snapshotting")] == [
        line
        for n in (2, 4, 5)
        for line in (
            f"Snapshotting to binary proto file {tmp_path}/s_iter_{n}.caffemodel",
            f"Snapshotting solver state to binary proto file {tmp_path}/s_iter_{n}.solverstate",
        )
    ]


def test_no_second_snapshot_at_the_end_and_none_where_it_is_off(tmp_path):
    trained(tmp_path, 4, "snapshot: 4")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 2
    trained(tmp_path, 3, "snapshot_after_train: false")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("ending", ["", ".h5"])
def test_restoring_brings_all_back(tmp_path, kind, ending):
    text = f"type: '{kind}' momentum: {0 if kind in NO_MOMENTUM else 0.9} snapshot_format: "
    text += "HDF5" if ending else "BINARYPROTO"
    made = trained(tmp_path, 3, text)
    fresh = solver(f"{text} random_seed: 99")
    fresh.restore(f"{tmp_path}/s_iter_3.solverstate{ending}")
    assert fresh.iter == 3
    for one, two in zip(weights(made.net) + made.history, weights(fresh.net) + fresh.history, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_weights_are_found_beside_the_state(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    made = solver("snapshot_prefix: 's' max_iter: 2")
    made.solve()
    assert solverstate.read("s_iter_2.solverstate").learned_net == "s_iter_2.caffemodel"
    monkeypatch.chdir(tmp_path)
    fresh = solver()
    fresh.restore("run/s_iter_2.solverstate")
    np.testing.assert_array_equal(weights(fresh.net)[0], weights(made.net)[0])


def test_a_state_as_caffe_writes_it_resumes(tmp_path):
    trained(tmp_path)
    path = tmp_path / "s_iter_3.solverstate"
    state = message_of(path, caffe_pb2.SolverState)
    state.DiscardUnknownFields()
    path.write_bytes(state.SerializeToString())
    fresh = solver()
    fresh.restore(path)
    assert fresh.iter == 3


def error_of(run, *args, kind=SnapshotError):
    with pytest.raises(kind) as caught:
        run(*args)
    return str(caught.value)


def rewrite(path, **changes):
    """Writes a state anew with some of its parts changed."""
    read, write = (
        (hdf5.read_state, hdf5.write_state) if path.suffix == ".h5" else (solverstate.read, solverstate.write)
    )
    write(path, replace(read(path), **changes))


def cut(path):
    os.truncate(path, path.stat().st_size * 2 // 3)


WIDER = {"net": NET.replace("num_output: 5", "num_output: 6")}
MORE_PARAMS = {
    "net": NET.replace('top: "h" }', 'top: "h" } layer { name: "p" type: "PReLU" bottom: "h" top: "h" }')
}


# The solver, what happens to the snapshot's files, the error and what it says of STATE and MODEL.
@pytest.mark.parametrize("ending", ["", ".h5"])
@pytest.mark.parametrize(
    ("made_with", "harm", "kind", "problem"),
    [
        (
            {"text": "type: 'Adam'"},
            None,
            SnapshotError,
            "'STATE' holds 4 history blobs, a solver of type Adam needs 8 for this net: "
            "it was written for another net or solver type",
        ),
        (
            MORE_PARAMS,
            None,
            SnapshotError,
            "'STATE' holds 4 history blobs, a solver of type SGD needs 5 for this net: "
            "it was written for another net or solver type",
        ),
        (
            WIDER,
            None,
            SnapshotError,
            "'STATE': history blob 0 has shape (5, 3), the net's parameter has (6, 3)",
        ),
        (
            WIDER,
            lambda state, model: rewrite(state, history=tuple(np.ones(n) for n in (18, 6, 18, 3))),
            WeightsError,
            "'MODEL': layer 'ip1' (InnerProduct) has blob 0 of shape (5, 3) in the file, (6, 3) in the net; "
            "to learn this layer from scratch instead, rename it in the prototxt",
        ),
        ({}, lambda state, model: state.unlink(), FileLookupError, "no such file: 'STATE'"),
        ({}, lambda state, model: cut(state), SnapshotError, "'STATE' is (truncated|damaged) or not a .*"),
        (
            {},
            lambda state, model: model.unlink(),
            FileLookupError,
            "no such file: 'MODEL', the weights of 'STATE'",
        ),
        ({}, lambda state, model: model.write_bytes(b""), WeightsError, "'MODEL' is empty"),
        ({}, lambda state, model: cut(model), WeightsError, "'MODEL' is (truncated|damaged) or not a .*"),
        (
            {},
            lambda state, model: rewrite(state, learned_net="a\0b"),
            FileLookupError,
            "no such file: 'a.*",  # HDF5's texts end with the NUL
        ),
        (
            {},
            lambda state, model: rewrite(state, learned_net="x" * 5000),
            FileLookupError,
            "no such file: 'x+…x+', the weights of 'STATE'.*",  # shortened
        ),
        (
            {},
            lambda state, model: rewrite(state, learned_net="/dev/zero"),
            WeightsError,
            "cannot read '/dev/zero': it is a device, not a file",
        ),
        (
            {},
            lambda state, model: (state.unlink(), os.mkfifo(state)),
            SnapshotError,
            "cannot read 'STATE': it is a pipe, not a file",
        ),
    ],
)
def test_a_refused_restore_changes_nothing(tmp_path, ending, made_with, harm, kind, problem):
    trained(tmp_path, text=f"snapshot_format: {'HDF5' if ending else 'BINARYPROTO'}")
    state = tmp_path / f"s_iter_3.solverstate{ending}"
    model = tmp_path / f"s_iter_3.caffemodel{ending}"
    if harm:
        harm(state, model)
    fresh = solver(**made_with)
    fresh.step(1)
    before = everything(fresh)
    text = error_of(fresh.restore, state, kind=kind)
    pattern = problem if problem.endswith(".*") else re.escape(problem)
    assert re.fullmatch(pattern.replace("STATE", str(state)).replace("MODEL", str(model)), text)
    assert everything(fresh) == before
    fresh.step(1)


def test_names_of_weights_that_are_not_utf8(tmp_path):
    trained(tmp_path)
    odd = os.fsdecode(b"caf\xe9.caffemodel")
    for ending in ("", ".h5"):
        state = tmp_path / f"odd.solverstate{ending}"
        content = replace(solverstate.read(tmp_path / "s_iter_3.solverstate"), learned_net=odd)
        (hdf5.write_state if ending else solverstate.write)(state, content)
        shutil.copy(tmp_path / "s_iter_3.caffemodel", tmp_path / odd)
        solver().restore(state)


def test_test_nets_come_along(tmp_path):
    """With a restore and with weights loaded into the train net; as in Caffe, not before."""
    trained(tmp_path, 3)
    model = tmp_path / "s_iter_3.caffemodel"
    tests = "test_iter: 1 test_iter: 1 test_interval: 100 test_initialization: false"
    bring = [
        lambda made: made.restore(tmp_path / "s_iter_3.solverstate"),
        lambda made: made.net.copy_from(model),
    ]
    for load in bring:
        made = solver(tests)
        assert not np.shares_memory(made.net.params["ip1"][0].data, made.test_nets[1].params["ip1"][0].data)
        load(made)
        for test_net in made.test_nets:
            for mine, theirs in zip(weights(made.net), weights(test_net), strict=True):
                np.testing.assert_array_equal(mine, theirs)
        made.step(1)
        np.testing.assert_array_equal(made.net.params["ip1"][0].data, made.test_nets[1].params["ip1"][0].data)


def test_a_test_net_that_cannot_share_is_no_reason_to_refuse(tmp_path):
    trained(tmp_path, 3)
    other = NET.replace("num_output: 5", "num_output: 7")
    made = solver(f"test_net_param {{ {other} }} test_iter: 1 test_interval: 2 test_initialization: false")
    made.restore(tmp_path / "s_iter_3.solverstate")
    assert made.test_nets[0].params["ip1"][0].shape == (7, 3)
    with pytest.raises(WeightsError, match=r"layer 'ip1' .* cannot share weights"):
        made.step(2)


def test_a_snapshot_needs_a_prefix():
    assert error_of(solver().snapshot) == "snapshots need a snapshot_prefix in the solver's settings"


def test_an_unwritable_folder_is_found_before_training(tmp_path):
    made = solver(f"snapshot_prefix: '{tmp_path}/run/s' snapshot: 0")
    assert error_of(made.solve) == (
        f"cannot write snapshots with snapshot_prefix '{tmp_path}/run/s': No such file or directory; "
        "make the folder, or name another"
    )
    assert made.iter == 0


def test_a_snapshot_that_fails_leaves_the_earlier_ones(tmp_path):
    made = solver(f"snapshot_prefix: '{tmp_path}/s'")
    made.step(1)
    made.snapshot()
    made.step(1)
    (tmp_path / "s_iter_2.solverstate").mkdir()  # in the way
    text = error_of(made.snapshot)
    assert text == f"cannot write '{tmp_path}/s_iter_2.solverstate': Is a directory"
    assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / "s_iter_1.solverstate"


def test_going_on_with_other_weights_is_said(tmp_path, caplog):
    made = trained(tmp_path, 2)
    made.step(1)
    made.snapshot()
    model, state = tmp_path / "s_iter_3.caffemodel", tmp_path / "s_iter_3.solverstate"
    model.write_bytes((tmp_path / "s_iter_2.caffemodel").read_bytes())
    line = f"'{model}' was not written together with its state"
    fresh = solver()
    before = everything(fresh)
    text = error_of(lambda: fresh.restore(state, exact=True))
    assert text == f"'{state}' cannot be resumed exactly: {line}"
    assert everything(fresh) == before
    fresh.restore(state)
    assert caplog.messages == [line]


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_a_damaged_resume_state_is_no_reason_to_refuse(tmp_path, ending, caplog):
    trained(tmp_path, text="snapshot_format: HDF5" if ending else "")
    path = tmp_path / f"s_iter_3.solverstate{ending}"
    for resume, problem in [
        (
            b"\xff" * 20,
            "its state for going on exactly is damaged: at byte 0: a number has more than 10 bytes",
        ),
        (b"\x08\x09", "its state for going on exactly has version 9, this program knows 1"),
    ]:
        rewrite(path, resume=resume)
        fresh = solver()
        line = f"places in the data, random numbers and the smoothed loss start afresh: {problem}"
        assert error_of(lambda: fresh.restore(path, exact=True)).endswith(line)  # noqa: B023
        caplog.clear()
        fresh.restore(path)
        assert caplog.messages == [line]
        assert fresh.iter == 3


def test_a_name_that_is_too_long_is_found_before_training(tmp_path):
    made = solver(f"snapshot_prefix: '{tmp_path}/{'s' * 240}'")
    assert error_of(made.solve).endswith(": File name too long; make the folder, or name another")
    assert made.iter == 0


def test_a_state_that_names_no_weights(tmp_path, caplog):
    trained(tmp_path)
    state = tmp_path / "s_iter_3.solverstate"
    rewrite(state, learned_net="")
    fresh = solver()
    line = "the weights stay as they are: the state names no weights file"
    assert error_of(lambda: fresh.restore(state, exact=True)).endswith(line)
    fresh.restore(state)
    assert caplog.messages == [line]


@pytest.mark.parametrize("iteration", [0, 1])
def test_a_prefix_with_a_nul_byte(tmp_path, iteration):
    prefix = f"{tmp_path}/s\\000x"
    problem = f"snapshot_prefix '{tmp_path}/s\\x00x' holds a NUL byte, which no file name can"
    assert error_of(lambda: solver(f"snapshot: 1 snapshot_prefix: '{prefix}'")) == problem
    made = solver(f"snapshot_prefix: '{prefix}' snapshot_after_train: false")
    made.step(iteration)
    assert error_of(made.snapshot) == problem
    assert error_of(solver(f"snapshot_prefix: '{prefix}'").solve) == problem


def test_a_prefix_with_escapes_names_files(tmp_path):
    prefix = f"{tmp_path}/\x1b[31mred"
    made = solver(f"snapshot_prefix: '{tmp_path}/\\033[31mred'")
    made.step(1)
    assert str(made.snapshot()) == f"{prefix}_iter_1.solverstate"
    solver().restore(f"{prefix}_iter_1.solverstate", exact=True)


def test_two_solvers_that_save_to_one_name(tmp_path, caplog):
    """Each succeeds; of files that do not belong together the one who came last is told."""
    one, other = (solver(f"snapshot_prefix: '{tmp_path}/s' random_seed: {seed}") for seed in (1, 2))
    both_weights_written = threading.Barrier(2, timeout=60)

    def save(made):
        plain = made.surroundings

        def surroundings():  # asked for between the two files
            both_weights_written.wait()
            return plain()

        made.surroundings = surroundings
        made.snapshot()

    threads = [threading.Thread(target=save, args=(made,)) for made in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(tmp_path)) == ["s_iter_0.caffemodel", "s_iter_0.solverstate"]
    problem = f"'{tmp_path}/s_iter_0.caffemodel' was not written together with its state"
    assert caplog.messages == [f"{problem}: does another run save with snapshot_prefix '{tmp_path}/s'?"]


def test_two_solvers_look_at_one_folder(tmp_path):
    """Whether it can be written; neither finds the other's file of the trial gone."""
    failures = []

    def check():
        try:
            for _ in range(100):
                check_folder(f"{tmp_path}/s", 0)
        except SnapshotError as error:
            failures.append(error)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == []


FORKS_NET = NET.replace(
    'layer { name: "tanh"', 'layer { name: "bn" type: "BN" bottom: "h" top: "h" } layer { name: "tanh"'
)


@pytest.mark.parametrize(("fork", "written"), [(None, "PSPNet"), ("TSN", "TSN")])
def test_weights_are_written_for_a_fork(tmp_path, fork, written):
    net = FORKS_NET.replace('type: "BN"', 'type: "BN" bn_param { slope_filler { value: 1 } }')
    made = solver(f"snapshot_prefix: '{tmp_path}/s'", net, fork=fork)
    made.step(1)
    model = read(tmp_path / made.snapshot().with_suffix(".caffemodel"))
    assert fork_of(model) == written


def test_an_unknown_fork():
    with pytest.raises(ArgumentError, match=r"^unknown fork 'ssd' \(known: SSD, RefineDet, "):
        solver(fork="ssd")


CTC = """
    layer { name: "x" type: "Input" top: "x" top: "l"
            input_param { shape { dim: 2 dim: 1 dim: 3 } shape { dim: 1 } } }
    layer { name: "ctc" type: "CtcLoss" bottom: "x" bottom: "l" top: "c" ctc_loss_param { blank_label: 1 } }
"""


def test_a_net_that_no_fork_can_read(tmp_path):
    net = FORKS_NET.replace('type: "BN"', 'type: "BN" bn_param { frozen: true }') + CTC
    prefix = f"snapshot_prefix: '{tmp_path}/s' "
    with pytest.raises(
        SnapshotError, match=r"^cannot write snapshots: no fork of Caffe has the fields of both"
    ):
        solver(prefix + "snapshot: 2", net)
    made = solver(prefix, net)
    with pytest.raises(
        SnapshotError, match=r"^cannot write snapshots: no fork of Caffe has the fields of both"
    ):
        made.solve()
    assert made.iter == 0
    solver(prefix + "snapshot: 1 snapshot_format: HDF5 max_iter: 1", net).solve()
    assert (tmp_path / "s_iter_1.caffemodel.h5").exists()

"""Snapshots: what is in the files, and going back to them."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_solver import NET, solver, weights

from pycaffe_lite.errors import FileLookupError, SnapshotError, WeightsError
from pycaffe_lite.io import hdf5, solverstate
from pycaffe_lite.io.blobproto import array_of
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import find_latest_snapshot

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


def test_a_state_of_another_solver_or_net(tmp_path):
    trained(tmp_path)
    path = f"{tmp_path}/s_iter_3.solverstate"
    adam, wider = solver("type: 'Adam'"), solver(net=NET.replace("num_output: 5", "num_output: 6"))
    assert error_of(adam.restore, path) == (
        f"'{path}' holds 4 history blobs, a solver of type Adam needs 8 for this net: "
        "it was written for another net or solver type"
    )
    assert error_of(wider.restore, path) == (
        f"'{path}': history blob 0 has shape (5, 3), the net's parameter has (6, 3)"
    )
    assert (adam.iter, wider.iter) == (0, 0)


def test_missing_files(tmp_path):
    trained(tmp_path)
    state, model = tmp_path / "s_iter_3.solverstate", tmp_path / "s_iter_3.caffemodel"
    fresh = solver()
    before = weights(fresh.net)
    assert error_of(fresh.restore, tmp_path / "no.solverstate", kind=FileLookupError) == (
        f"no such file: '{tmp_path}/no.solverstate'"
    )
    model.rename(tmp_path / "elsewhere")
    assert error_of(fresh.restore, state, kind=FileLookupError) == f"no such file: '{model}'"
    model.write_bytes(b"")
    assert error_of(fresh.restore, state, kind=WeightsError) == f"'{model}' is empty"
    assert fresh.iter == 0
    for one, two in zip(before, weights(fresh.net), strict=True):
        np.testing.assert_array_equal(one, two)


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


def snapshots(folder, *iterations, **options):
    made = solver(f"snapshot_prefix: '{folder}/s'", **options)
    for n in iterations:
        made.step(n - made.iter)
        made.snapshot()
    return made


def test_the_latest_snapshot(tmp_path):
    assert find_latest_snapshot(f"{tmp_path}/s") is None
    assert find_latest_snapshot(f"{tmp_path}/no/s") is None
    snapshots(tmp_path, 2, 9, 10)
    (tmp_path / "s_iter_50.solverstate.tmp").touch()
    (tmp_path / "other_iter_70.solverstate").touch()
    assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / "s_iter_10.solverstate"


def damage_state(folder):
    path = folder / "s_iter_3.solverstate"
    path.write_bytes(path.read_bytes()[:60])


def damage_model(folder):
    path = folder / "s_iter_3.caffemodel"
    path.write_bytes(path.read_bytes()[:60])


def remove_model(folder):
    (folder / "s_iter_3.caffemodel").unlink()


def another_runs_model(folder):
    (folder / "s_iter_3.caffemodel").write_bytes((folder / "s_iter_2.caffemodel").read_bytes())


@pytest.mark.parametrize("damage", [damage_state, damage_model, remove_model, another_runs_model])
def test_the_latest_snapshot_is_a_whole_one(tmp_path, damage, caplog):
    snapshots(tmp_path, 2, 3)
    damage(tmp_path)
    assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / "s_iter_2.solverstate"
    (line,) = caplog.messages
    assert line.startswith(f"Passing over snapshot '{tmp_path}/s_iter_3.solverstate': ")


def test_going_on_with_other_weights_is_said(tmp_path, caplog):
    snapshots(tmp_path, 2, 3)
    another_runs_model(tmp_path)
    solver().restore(tmp_path / "s_iter_3.solverstate")
    assert caplog.messages == [
        f"'{tmp_path}/s_iter_3.caffemodel' was not written together with '{tmp_path}/s_iter_3.solverstate'"
    ]


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_a_damaged_resume_state(tmp_path, ending):
    trained(tmp_path, text="snapshot_format: HDF5" if ending else "")
    path = f"{tmp_path}/s_iter_3.solverstate{ending}"
    read, write = (hdf5.read_state, hdf5.write_state) if ending else (solverstate.read, solverstate.write)
    state = read(path)
    for resume, problem in [
        (
            b"\xff" * 20,
            "its state for going on exactly is damaged: at byte 0: a number has more than 10 bytes",
        ),
        (b"\x08\x09", "its state for going on exactly has version 9, this program knows 1"),
    ]:
        write(path, state.__class__(state.iter, state.learned_net, 0, state.history, resume))
        fresh = solver()
        assert error_of(fresh.restore, path) == f"'{path}': {problem}"
        assert fresh.iter == 0

"""Weights and solver states in HDF5: against real Caffe's files and each other."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import FileLookupError, SnapshotError, WeightsError
from pycaffe_lite.extras import missing
from pycaffe_lite.io import caffemodel, hdf5, solverstate
from pycaffe_lite.io.state import SolverState
from pycaffe_lite.proto import caffe_pb2

LENET = Path(__file__).parent.parent / "data" / "lenet"


def test_caffes_weights_are_those_of_the_binary_file():
    model = hdf5.read_model(LENET / "lenet_iter_50.caffemodel.h5")
    binary = caffemodel.read(LENET / "lenet_iter_50.caffemodel")
    assert sorted(layer.name for layer in binary.layers) == [layer.name for layer in model.layers]
    for layer in binary.layers:
        for ours, theirs in zip(model[layer.name].blobs, layer.blobs, strict=True):
            np.testing.assert_array_equal(ours.data, theirs.data, strict=True)
            assert ours.diff is None


def test_caffes_state_is_that_of_the_binary_file():
    state = hdf5.read_state(LENET / "lenet_iter_50.solverstate.h5")
    binary = solverstate.read(LENET / "lenet_iter_50.solverstate")
    assert (state.iter, state.current_step, state.resume) == (50, 0, None)
    assert state.learned_net == "lenet_iter_50.caffemodel.h5"
    for ours, theirs in zip(state.history, binary.history, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


def description(file):
    """What Caffe can see of a file."""
    seen = {}

    def note(name, item):
        if isinstance(item, h5py.Group):
            seen[name] = "group"
        else:
            kind = item.id.get_type()
            text = (kind.get_strpad(), kind.get_size()) if item.dtype.kind == "S" else None
            seen[name] = (item.shape, item.dtype.str, text)

    with h5py.File(file) as opened:
        opened.visititems(note)
    return seen


def test_our_state_has_the_layout_of_caffes(tmp_path):
    hdf5.write_state(tmp_path / "x", hdf5.read_state(LENET / "lenet_iter_50.solverstate.h5"))
    assert description(tmp_path / "x") == description(LENET / "lenet_iter_50.solverstate.h5")


def test_our_weights_have_the_layout_of_caffes(tmp_path):
    theirs = hdf5.read_model(LENET / "lenet_iter_50.caffemodel.h5")
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name=s.name) for s in theirs.layers])
    blobs = []
    for layer in theirs.layers:
        blobs.append([Blob(stored.shape) for stored in layer.blobs])
        for blob, stored in zip(blobs[-1], layer.blobs, strict=True):
            blob.data[...] = stored.data
    hdf5.write_model(tmp_path / "x", net, blobs, [[False] * len(b) for b in blobs])
    assert description(tmp_path / "x") == description(LENET / "lenet_iter_50.caffemodel.h5")
    back = hdf5.read_model(tmp_path / "x")
    np.testing.assert_array_equal(back["ip1"].blobs[0].data, theirs["ip1"].blobs[0].data)


def test_shared_blobs_diffs_and_names_with_slashes(tmp_path):
    layers = ["inception/1x1", "inception/3x3", "plain"]
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name=name) for name in layers])
    blobs = [[Blob((2,)), Blob((3,))], [Blob((2,)), Blob((1,))], []]
    blobs[1][1].data[...], blobs[1][1].diff[...] = 4, 5
    hdf5.write_model(tmp_path / "x", net, blobs, [[False, False], [True, False], []], diff=True)
    model = hdf5.read_model(tmp_path / "x")
    assert [layer.name for layer in model.layers] == layers
    assert model["inception/3x3"].blobs[0] is None
    assert model["inception/3x3"].blobs[1].data.tolist() == [4]
    assert model["inception/3x3"].blobs[1].diff.tolist() == [5]
    assert model["plain"].blobs == ()


def test_the_resume_state_has_a_group_of_its_own(tmp_path):
    state = SolverState(3, "m.h5", 1, (np.ones((2, 2), np.float32),), b"\x00opaque\x00")
    hdf5.write_state(tmp_path / "x", state)
    back = hdf5.read_state(tmp_path / "x")
    assert (back.iter, back.learned_net, back.current_step, back.resume) == (3, "m.h5", 1, state.resume)
    assert description(tmp_path / "x")["pycaffe_lite"] == "group"


def test_what_is_no_hdf5_file(tmp_path):
    assert hdf5.is_hdf5(LENET / "lenet_iter_50.caffemodel.h5")
    assert not hdf5.is_hdf5(LENET / "lenet_iter_50.caffemodel")
    assert not hdf5.is_hdf5(tmp_path / "no")
    with pytest.raises(FileLookupError) as caught:
        hdf5.read_model(tmp_path / "no")
    assert str(caught.value) == f"no such file: '{tmp_path / 'no'}'"


def damaged(path, change):
    with h5py.File(path, "w") as file:
        file.create_dataset("iter", data=np.array([3], np.int32))
        file.create_dataset("current_step", data=np.array([0], np.int32))
        file["learned_net"] = np.bytes_("m")
        file.create_group("history").create_dataset("0", data=np.ones(2, np.float32))
        change(file)


def remove(name):
    def change(file):
        del file[name]

    return change


def replace(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def compressed(file):
    file["history"].create_dataset("1", data=np.ones(50), compression="gzip")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (remove("iter"), "'iter' holds no count"),
        (remove("history"), "it has no group 'history'"),
        (replace("iter", np.array([-4])), "'iter' is -4"),
        (replace("iter", np.array([1, 2])), "'iter' holds no count"),
        (replace("learned_net", np.arange(3)), "'learned_net' holds no text"),
        (replace("history/0", np.bytes_("x")), "'0' holds no numbers"),
        (replace("history/0", "x"), "'/history/0' holds neither plain numbers nor fixed-length text"),
        (compressed, "'/history/1' is stored in pieces or compressed, which Caffe never does: "
                     "rewrite the file with `h5repack -l CONTI -f NONE`"),
    ],
)  # fmt: skip
def test_states_that_are_not_whole(tmp_path, change, problem):
    path = tmp_path / "x.h5"
    damaged(path, change)
    with pytest.raises(SnapshotError) as caught:
        hdf5.read_state(path)
    assert str(caught.value) == f"'{path}' is damaged or no .solverstate.h5: {problem}"


def test_a_file_cut_short(tmp_path):
    data = (LENET / "lenet_iter_50.caffemodel.h5").read_bytes()
    (tmp_path / "x").write_bytes(data[:100_000])
    with pytest.raises(WeightsError) as caught:
        hdf5.read_model(tmp_path / "x")
    assert str(caught.value) == (
        f"'{tmp_path / 'x'}' is damaged or no .caffemodel.h5: it has 100000 bytes of 1738832: it is cut short"
    )


def test_a_group_inside_itself(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:
        group = file.create_group("data")
        group["again"] = group
    with pytest.raises(WeightsError, match=r"two places point at byte \d+$"):
        hdf5.read_model(tmp_path / "x")


def test_a_blob_number_beyond_reason(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:
        file["data/ip/999999999"] = np.ones(1, np.float32)
    with pytest.raises(WeightsError) as caught:
        hdf5.read_model(tmp_path / "x")
    assert str(caught.value) == (
        f"'{tmp_path / 'x'}' is damaged or no .caffemodel.h5: layer 'ip' has a blob 999999999"
    )


def test_many_layers_fit_one_group(tmp_path):
    names = [f"layer{i}" for i in range(700)]
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name=name) for name in names])
    hdf5.write_model(tmp_path / "x", net, [[Blob((1,))]] * 700, [[False]] * 700)
    with h5py.File(tmp_path / "x") as file:
        assert sorted(file["data"]) == sorted(names)
    assert [layer.name for layer in hdf5.read_model(tmp_path / "x").layers] == sorted(names)


def test_a_file_that_the_library_went_on_writing(tmp_path):
    hdf5.write_state(tmp_path / "x", SolverState(3, "m.h5", 1, (np.ones(2, np.float32),)))
    with h5py.File(tmp_path / "x", "a") as file:
        for i in range(1, 40):
            file[f"history/{i}"] = np.full(3, i, np.float32)
    assert [len(values) for values in hdf5.read_state(tmp_path / "x").history] == [2] + [3] * 39


def newer_file(path):
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("data/ip/0", data=np.ones((9, 9), np.float32), compression="gzip")


def test_the_newer_format_is_read_by_the_library(tmp_path):
    newer_file(tmp_path / "x")
    (layer,) = hdf5.read_model(tmp_path / "x").layers
    np.testing.assert_array_equal(layer.blobs[0].data, np.ones((9, 9), np.float32))


def test_the_newer_format_without_the_library(tmp_path, monkeypatch):
    newer_file(tmp_path / "x")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError) as caught:
        hdf5.read_model(tmp_path / "x")
    message = missing(f"'{tmp_path / 'x'}' is in HDF5's newer format: reading it", "h5py", "hdf5")
    assert str(caught.value) == message

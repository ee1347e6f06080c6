"""Weights and solver states in HDF5: against real Caffe's files and each other."""

import re
import struct
import sys
import time
import tracemalloc

import h5py
import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import FileLookupError, SnapshotError, WeightsError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats import caffemodel, hdf5, solverstate
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.proto import caffe_pb2

LENET = FIXTURES / "lenet"


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
    assert str(caught.value) == f"'{path}' is damaged or not a .solverstate.h5: {problem}"


def test_a_file_cut_short(tmp_path):
    data = (LENET / "lenet_iter_50.caffemodel.h5").read_bytes()
    (tmp_path / "x").write_bytes(data[:100_000])
    with pytest.raises(WeightsError) as caught:
        hdf5.read_model(tmp_path / "x")
    assert str(caught.value) == (
        f"'{tmp_path / 'x'}' is damaged or not a .caffemodel.h5: "
        "it has 100000 bytes of 1738832: it is cut short"
    )


def test_a_blob_number_beyond_reason(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:
        file["data/ip/999999999"] = np.ones(1, np.float32)
    with pytest.raises(WeightsError) as caught:
        hdf5.read_model(tmp_path / "x")
    assert str(caught.value) == (
        f"'{tmp_path / 'x'}' is damaged or not a .caffemodel.h5: layer 'ip' has a blob 999999999"
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


# ------------------------------------------------------------------------------ files made to do harm


def state_file(path, fill, **options):
    with h5py.File(path, "w", **options) as file:
        file["iter"], file["current_step"] = np.array([3], np.int32), np.array([0], np.int32)
        file["learned_net"] = np.bytes_("m")
        fill(file.create_group("history"), file)


def weights_file(path, fill, **options):
    with h5py.File(path, "w", **options) as file:
        fill(file.create_group("data/ip"), file)


KINDS = {
    "weights": (weights_file, hdf5.read_model, WeightsError),
    "state": (state_file, hdf5.read_state, SnapshotError),
}
LIBVERS = {"our reader": {}, "h5py": {"libver": "latest"}}
NOT_IN_PIECES = "'.*' is stored in pieces or compressed"


def much_gzip(group, file):
    group.create_dataset("0", (325_000, 1000), np.float32, chunks=(1000, 1000), compression="gzip")[:999] = 0


def a_huge_chunk(group, file):
    group.create_dataset(
        "0", (10,), np.float32, maxshape=(None,), chunks=(2**28,), compression="gzip", fillvalue=0
    )


def nothing_stored(group, file):
    group.create_dataset("0", (2**28,), np.float32, chunks=(2**20,))


def doubled_links(group, file):
    for _ in range(25):
        inner = group.create_group("a")
        group["b"] = inner
        group = inner


def one_array_many_times(group, file):
    group["0"] = np.ones(1000, np.int8)
    for i in range(1, 40):
        group[str(i)] = group["0"]


def deep_groups(group, file):
    for _ in range(40):
        group = group.create_group("a")


def link_elsewhere(group, file):
    group["0"] = np.ones(3)
    group["1"] = h5py.ExternalLink("/dev/zero", "/x")


def link_by_name(group, file):
    group["0"] = np.ones(3)
    group["1"] = h5py.SoftLink("/")


def values_elsewhere(group, file):
    group.create_dataset("0", (10,), np.float32, external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def many_texts(group, file):
    group["0"] = ["x" * 100] * 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", LIBVERS)
@pytest.mark.parametrize(
    ("fill", "ours", "librarys"),
    [
        (much_gzip, NOT_IN_PIECES, r"it unpacks to 1\d{9} bytes, more than 100 times its size"),
        (a_huge_chunk, NOT_IN_PIECES, r"it unpacks to 1\d{9} bytes, more than 100 times its size"),
        (nothing_stored, NOT_IN_PIECES, r"it unpacks to 1\d{9} bytes, more than 100 times its size"),
        (doubled_links, "two places point at byte", "two places point at byte"),
        (one_array_many_times, "two places point at byte", "two places point at byte"),
        (deep_groups, "its groups are nested too deeply", "its groups are nested too deeply"),
        (link_elsewhere, "is neither group nor dataset", "'1' is a link to another place"),
        (link_by_name, "'1' is a link to another place", "'1' is a link to another place"),
        (values_elsewhere, "runs past the end|bytes of values", "stands in another file"),
        (many_texts, "'.*' holds neither plain numbers nor", "'0' holds neither numbers nor one text"),
    ],
)
def test_files_that_are_small_and_hold_much(tmp_path, kind, reader, fill, ours, librarys):
    write, read, error = KINDS[kind]
    path = tmp_path / "x.h5"
    write(path, fill, **LIBVERS[reader])
    start = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(error, match=ours if reader == "our reader" else librarys) as caught:
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22 + 3 * path.stat().st_size
    assert time.perf_counter() - start < 1
    assert str(caught.value).startswith(f"'{path}' is damaged or not a ")


def test_a_packed_file_of_the_newer_format_is_read(tmp_path):
    """Zeros shrink a thousandfold: a history that has not begun is no trap."""

    def fill(group, file):
        group.create_dataset("0", data=np.zeros((500, 800), np.float32), compression="gzip")

    state_file(tmp_path / "x", fill, libver="latest")
    assert (tmp_path / "x").stat().st_size < 10_000
    assert hdf5.read_state(tmp_path / "x").history[0].shape == (500, 800)


def test_parts_that_overlap(tmp_path):
    """Many groups with the names of one: reading them again and again would take for ever."""
    hdf5.write_state(tmp_path / "x", SolverState(3, "m", 1, (np.ones(2, np.float32),) * 50))
    data = (tmp_path / "x").read_bytes()
    one, other = (place.start() for place in re.finditer(b"HEAP", data))
    (tmp_path / "x").write_bytes(data.replace(struct.pack("<Q", one), struct.pack("<Q", other)))
    with pytest.raises(SnapshotError, match=f"two places point at byte {other}$"):
        hdf5.read_state(tmp_path / "x")


@pytest.mark.parametrize("options", LIBVERS.values(), ids=LIBVERS)
def test_the_head_of_a_state_is_read_without_its_history(tmp_path, options):
    def fill(group, file):
        group["0"] = np.ones(10**6, np.float32)
        file["pycaffe_lite/resume"] = np.frombuffer(b"opaque", np.uint8)

    state_file(tmp_path / "x", fill, **options)
    tracemalloc.start()
    state = hdf5.read_state_head(tmp_path / "x")
    assert tracemalloc.get_traced_memory()[1] < 2**19
    tracemalloc.stop()
    assert (state.iter, state.learned_net, state.resume, state.history) == (3, "m", b"opaque", ())

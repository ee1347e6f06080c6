"""HDF5Data beyond Caffe's own batches (test_golden_databases.py): going on exactly, and bad input."""

import sys

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.blob import Blob
from pycaffe_lite.data import c_rand
from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.formats.hdf5_format import file_parts
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

FOLDER = FIXTURES / "data_layers"
PLACE = "net.prototxt:3: layer 'data' (HDF5Data): "


@pytest.fixture(autouse=True)
def fresh():
    c_rand.seed()


class Rig:
    """An HDF5Data layer and its tops."""

    def __init__(self, folder, source, more="", tops=("data", "label"), batch_size=4, dtype=np.float32):
        names = " ".join(f'top: "{name}"' for name in tops)
        param = f'hdf5_data_param {{ source: "{source}" batch_size: {batch_size} {more} }}'
        message = parse(f'name: "data" type: "HDF5Data" {names} {param}', caffe_pb2.LayerParameter).message
        context = LayerContext(dtype=np.dtype(dtype), folder=folder, where="net.prototxt:3: ")
        self.layer = create_layer(message, context)
        self.top = [Blob(dtype=dtype) for _ in tops]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.reshape([], self.top)
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]


def write(path, **arrays):
    with open(path, "wb") as file:
        for part in file_parts(arrays):
            file.write(part)


@pytest.fixture
def two_files(tmp_path):
    """Files of 5 and 3 rows, numbered from 0, and a list of them."""
    for name, rows in (("a", range(5)), ("b", range(5, 8))):
        numbers = np.array(rows, np.float32)
        write(tmp_path / f"{name}.h5", data=np.outer(numbers, [1, 10]), label=numbers.astype(np.int64))
    (tmp_path / "list.txt").write_text("a.h5\nb.h5\n")
    return tmp_path


def refuses(message, function, *args, kind=DataError, **options):
    with pytest.raises(kind) as raised:
        function(*args, **options)
    assert str(raised.value) == f"{PLACE}{message}"
    assert type(raised.value) is kind


def test_rows_come_in_order(two_files):
    rig = Rig(two_files, "list.txt")
    rows = np.concatenate([rig.forward()[1] for _ in range(4)])
    assert rows.tolist() == [*range(8), *range(8)]
    assert rig.top[0].shape == (4, 2)


def test_each_row_comes_once_in_a_shuffled_epoch(two_files):
    rig = Rig(two_files, "list.txt", "shuffle: true")
    epochs = [np.concatenate([rig.forward()[1] for _ in range(2)]).tolist() for _ in range(20)]
    assert all(sorted(epoch) == list(range(8)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 2
    first_files = {epoch[0] < 5 for epoch in epochs}
    assert first_files == {True, False}


def test_double_precision_nets_get_the_same_numbers(two_files):
    data, _ = Rig(two_files, "list.txt", dtype=np.float64).forward()
    assert data.dtype == np.float64
    np.testing.assert_array_equal(data, Rig(two_files, "list.txt").forward()[0])


# --------------------------------------------------------------------------------------------- exact resume


@pytest.mark.parametrize("source", ["list.txt", "one.txt"])
@pytest.mark.parametrize("more", ["", "shuffle: true"])
@pytest.mark.parametrize("passes", [0, 1, 7])
def test_it_goes_on_exactly(two_files, source, more, passes):
    (two_files / "one.txt").write_text("a.h5")
    rig = Rig(two_files, source, more, batch_size=3)
    for _ in range(passes):
        rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(9)]
    fresh = Rig(two_files, source, more, batch_size=3)
    assert fresh.layer.set_state(state) == ""
    assert fresh.layer.state() == state
    np.testing.assert_array_equal([fresh.forward()[1] for _ in range(9)], [label for _, label in wanted])


def test_a_state_of_something_else(two_files):
    rig = Rig(two_files, "list.txt", "shuffle: true")
    rig.forward()
    state, following = rig.layer.state(), rig.forward()
    rig.layer.set_state(state)
    message = "its first row comes next: the state is not one of 2 files"
    for wrong in (b"abc", bytes(len(state))):
        assert rig.layer.set_state(wrong) == message
    np.testing.assert_array_equal(rig.forward()[1], following[1])  # where it was
    write(two_files / "a.h5", data=np.zeros((9, 2)), label=np.zeros(9))
    write(two_files / "b.h5", data=np.zeros((9, 2)), label=np.zeros(9))
    other = Rig(two_files, "list.txt")
    problem = other.layer.set_state(state)
    assert problem.startswith("its first row comes next: '")
    assert problem.endswith((".h5' has 9 rows, it had 5", ".h5' has 9 rows, it had 3"))


# ------------------------------------------------------------------------------------------------ bad input


def test_no_batch_size(two_files):
    refuses("needs hdf5_data_param.batch_size > 0", Rig, two_files, "list.txt", batch_size=0, kind=LayerError)


def test_files_of_other_rows(two_files):
    write(two_files / "b.h5", data=np.zeros((3, 4)), label=np.zeros(3))
    rig = Rig(two_files, "list.txt")
    rig.forward()
    message = (
        f"data set 'data' of '{two_files}/b.h5' has rows of shape (4,), those of the files before have (2,)"
    )
    refuses(message, rig.forward)


def test_no_rows(two_files):
    write(two_files / "a.h5", data=np.zeros((0, 4)), label=np.zeros(0))
    refuses(f"the data sets of '{two_files}/a.h5' have no rows", Rig, two_files, "list.txt")


def test_a_group(two_files):
    write(two_files / "a.h5", data={"x": np.zeros(3)}, label=np.zeros(3))
    refuses(f"'data' of '{two_files}/a.h5' is a group, not a data set", Rig, two_files, "list.txt")


def test_a_file_that_is_cut_off(two_files):
    content = (two_files / "a.h5").read_bytes()
    (two_files / "a.h5").write_bytes(content[:-20])
    with pytest.raises(DataError) as raised:
        Rig(two_files, "list.txt")
    start = f"{PLACE}'{two_files}/a.h5' is damaged or not a plain HDF5 file: "
    assert str(raised.value).startswith(start)
    assert "\n" not in str(raised.value)


def test_a_user_block(two_files):
    """Which MATLAB's files begin with."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(two_files / "a.h5", "w", userblock_size=1024) as file:
        file["data"], file["label"] = np.ones((5, 2)), np.arange(5)
    assert Rig(two_files, "list.txt").forward()[1].tolist() == [0, 1, 2, 3]


def test_no_hdf5_file(two_files):
    (two_files / "a.h5").write_bytes(b"x" * 2000)
    refuses(f"'{two_files}/a.h5' is not an HDF5 file", Rig, two_files, "list.txt")


def test_what_needs_h5py(monkeypatch):
    monkeypatch.chdir(FOLDER)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError) as raised:
        Rig(FOLDER, "hdf5/packed.txt")
    assert str(raised.value).startswith(f"{PLACE}reading 'hdf5/packed.h5' ('/data' is stored in pieces or ")
    assert "needs h5py, which is not installed" in str(raised.value)


def test_other_types_need_numbers(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "list.txt").write_text("a.h5")
    for values, kind in (
        (np.array([True, False]), "bool"),
        (np.zeros(2, [("x", "f4")]), "[('x', '<f4')]"),
        (np.array(["a", "b"], object), "object"),
    ):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data"] = values
        message = f"data set 'data' of '{tmp_path}/a.h5' holds values of type {kind}: HDF5Data takes numbers"
        refuses(message, Rig, tmp_path, "list.txt", tops=["data"])

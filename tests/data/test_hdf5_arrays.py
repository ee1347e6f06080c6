import sys

import h5py
import numpy as np
import pytest

from pycaffe_lite.data.hdf5_arrays import read_arrays
from pycaffe_lite.errors import DataError, FileLookupError

DATA = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def write(tmp_path):
    """Writes a file with the data sets named, and returns its path."""

    def written(options=None, **arrays):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, **(options or {}))
        return path

    return written


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "u2", "i8", ">f4"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": (2, 3)}])
def test_numbers_of_any_type_as_float32(write, dtype, options):
    path = write(options, data=DATA.astype(dtype), other=np.zeros((7, 3)))
    (found,) = read_arrays(path, ["data"])
    np.testing.assert_array_equal(found, DATA.astype(np.float32), strict=True)
    assert found.flags.c_contiguous


def test_arrays_come_in_the_order_of_the_names(write):
    path = write(label=np.arange(4), data=DATA)
    shapes = [array.shape for array in read_arrays(path, ["data", "label"])]
    assert shapes == [(4, 3), (4,)]


def test_names_with_slashes_lead_into_groups(write):
    path = write(**{"group/x": DATA})
    np.testing.assert_array_equal(read_arrays(path, ["group/x"])[0], DATA)


def test_numbers_beyond_float32_are_infinite(write):
    assert read_arrays(write(x=np.array([1e300, -1e300])), ["x"])[0].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("y", "has no data set 'y', which a top is named after; it has 'group', 'none', 'text', 'x'$"),
        ("group", "'group' of '.*' is a group, not a data set"),
        ("text", "data set 'text' of '.*' holds (text|values of type .*): HDF5Data takes numbers"),
        ("none", "the data sets of '.*' have no rows"),
    ],
)
def test_what_is_no_such_data_set(tmp_path, name, says, options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=DATA, **options)
        file.create_dataset("text", data=np.array([b"ab", b"c"]), **options)
        file.create_dataset("none", data=np.zeros((0, 3)))
        file["group/y"] = DATA
    with pytest.raises(DataError, match=says):
        read_arrays(tmp_path / "a.h5", [name])


def test_a_number_without_rows(write):
    with pytest.raises(DataError, match=r"'x' of '.*' is one number without an axis: it needs rows"):
        read_arrays(write(x=np.float32(3)), ["x"])


def test_other_numbers_of_rows(write):
    with pytest.raises(DataError, match=r"have different numbers of rows: 'a' 4, 'b' 2$"):
        read_arrays(write(a=DATA, b=DATA[:2]), ["a", "b"])


def test_files_of_something_else(tmp_path, write):
    with pytest.raises(FileLookupError, match="no such file"):
        read_arrays(tmp_path / "none.h5", ["x"])
    (tmp_path / "text").write_text("no such thing")
    with pytest.raises(DataError, match=r"is not an HDF5 file$"):
        read_arrays(tmp_path / "text", ["x"])
    path = write(x=DATA)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is damaged or not a plain HDF5 file"):
        read_arrays(path, ["x"])


def test_packed_files_need_h5py(write, monkeypatch):
    plain, packed = write(x=DATA), write({"compression": "gzip"}, x=DATA)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"reading '.*' .*needs h5py"):
        read_arrays(packed, ["x"])
    assert plain == packed

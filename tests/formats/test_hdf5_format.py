"""Trees of arrays and texts, written and read without the HDF5 library, against h5py."""

import io
import struct

import h5py
import numpy as np
import pytest

from pycaffe_lite.formats.hdf5_format import FormatError, NewerFormatError, file_parts, read_tree

TREE = {
    "data": {
        "conv1": {"0": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "1": np.array(0.1)},
        "größe": {},
        "empty": np.zeros((0, 3), np.float32),
    },
    "name": b"net.caffemodel",
    "number": np.array([-3, 2**40], np.int64),
}
NUMBERS = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


def file_of(tree):
    file = io.BytesIO()
    for part in file_parts(tree):
        file.write(part if isinstance(part, bytes) else part.tobytes())
    return file.getvalue()


def read(data, only=None):
    return read_tree(np.frombuffer(data, np.uint8), only)


def assert_same(tree, right):
    assert isinstance(tree, dict) == isinstance(right, dict)
    if isinstance(right, dict):
        assert sorted(tree) == sorted(right)
        for name in right:
            assert_same(tree[name], right[name])
    else:
        np.testing.assert_array_equal(tree, right, strict=isinstance(right, np.ndarray))


def test_there_and_back():
    assert_same(read(file_of(TREE)), TREE)


def test_the_library_reads_what_is_written():
    with h5py.File(io.BytesIO(file_of(TREE))) as file:
        assert sorted(file) == ["data", "name", "number"]
        assert sorted(file["data"]) == ["conv1", "empty", "größe"]
        np.testing.assert_array_equal(file["data/conv1/0"][()], TREE["data"]["conv1"]["0"], strict=True)
        assert file["data/conv1/1"][()] == 0.1
        assert file["data/empty"].shape == (0, 3)
        assert file["name"][()] == b"net.caffemodel"


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_of_each_type_as_the_library_has_them(dtype):
    values = np.array([[0, 1, 100]], dtype)
    assert_same(read(file_of({"x": values})), {"x": values})
    with h5py.File(io.BytesIO(file_of({"x": values}))) as file:
        np.testing.assert_array_equal(file["x"][()], values, strict=True)
    librarys = io.BytesIO()
    with h5py.File(librarys, "w") as file:
        file["x"] = values
    assert_same(read(librarys.getvalue()), {"x": values})


def test_many_names_of_the_librarys():
    """Its groups of so many names have trees of two levels."""
    librarys = io.BytesIO()
    tree = {f"a{i}": np.array([i], np.int32) for i in range(600)}
    with h5py.File(librarys, "w") as file:
        for name, values in tree.items():
            file[name] = values
    assert_same(read(librarys.getvalue()), tree)


def test_only_what_is_asked_for_is_read():
    tree = read(file_of(TREE), only={"name"})
    assert tree == {"name": b"net.caffemodel", "data": {}, "number": {}}


def test_arrays_are_views_of_the_file():
    data = np.frombuffer(file_of(TREE), np.uint8)
    assert np.shares_memory(read_tree(data)["data"]["conv1"]["0"], data)


def librarys_file(fill, **options):
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as opened:
        fill(opened)
    return file.getvalue()


def packed(file):
    file.create_dataset("x", data=np.zeros((4, 4)), chunks=(2, 2))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no such thing " * 10, "it is not an HDF5 file"),
        (file_of(TREE)[:-8], "it is cut short"),
        (librarys_file(packed), "'/x' is stored in pieces or compressed, .*h5repack"),
        (
            librarys_file(lambda file: file.create_dataset("x", data=["a", "b"])),
            "'/x' holds neither plain numbers nor fixed-length text",
        ),
        (
            librarys_file(lambda file: file.create_dataset("x", data=np.arange(3, dtype=">f4"))),
            "'/x' holds neither plain numbers",
        ),
    ],
)
def test_what_is_refused(data, says):
    with pytest.raises(FormatError, match=says):
        read(data)


def test_the_newer_format_is_left_to_the_library():
    with pytest.raises(NewerFormatError, match="it has superblock version"):
        read(librarys_file(lambda file: file.create_dataset("x", data=[1]), libver="latest"))


def test_a_group_that_holds_itself():
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        group = opened.create_group("a")
        group["again"] = group
    with pytest.raises(FormatError, match=r"two places point at byte \d+$"):
        read(file.getvalue())


def test_no_changed_address_leads_out_of_the_file():
    data = file_of({"a": np.ones(4, np.float32)})
    for place in range(0, len(data) - 8, 8):
        damaged = data[:place] + struct.pack("<Q", len(data) + 5) + data[place + 8 :]
        try:
            tree = read(damaged)
        except FormatError:
            continue
        assert not isinstance(tree.get("a"), np.ndarray) or tree["a"].nbytes <= len(data)

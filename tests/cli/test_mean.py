"""mean convert: what Caffe's own cases (test_golden_tools.py) leave open."""

from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.formats import binaryproto

DB = FIXTURES / "data_layers" / "db"
MEAN = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_convert_to_numpy_and_back(run):
    binaryproto.write("a.binaryproto", MEAN[np.newaxis])
    assert run("mean", "convert", "a.binaryproto", "a.npy") == (0, ["wrote a.npy: 2 x 3 x 4, mean 11.5"], [])
    values = np.load("a.npy")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, MEAN)
    run("mean", "convert", "a.npy", "b.binaryproto")
    assert Path("b.binaryproto").read_bytes() == Path("a.binaryproto").read_bytes()


def test_arrays_of_other_types(run):
    np.save("a.npy", MEAN[np.newaxis].astype(np.float64))
    assert run("mean", "convert", "a.npy", "a.binaryproto").code == 0
    np.testing.assert_array_equal(binaryproto.read("a.binaryproto"), MEAN[np.newaxis])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.zeros(3), "has shape"),
        (np.array(["a"]), "'a.npy' does not hold an array of numbers"),
    ],
)
def test_what_is_no_mean(fails, values, problem):
    np.save("a.npy", values)
    line = fails("mean", "convert", "a.npy", "a.binaryproto")
    if problem == "has shape":
        problem = (
            "'a.npy' holds an array of shape (3,), a mean image has (channels, height, width); values for "
            "each "
            "channel go into the prototxt as mean_value"
        )
    assert line == f"Error: {problem}"
    assert not Path("a.binaryproto").exists()


def test_damaged_files(fails):
    Path("a.npy").write_bytes(b"\x93NUMPY")
    assert fails("mean", "convert", "a.npy", "a.binaryproto").startswith(
        "Error: 'a.npy' is damaged or not a NumPy file of numbers: "
    )
    assert fails("mean", "convert", "none.npy", "a.binaryproto") == "Error: no such file: 'none.npy'"


def test_other_endings(misused):
    assert misused("mean", "convert", "a.npy", "b.npy") == (
        "Error: One name must end in .binaryproto and the other in .npy, got 'a.npy' and 'b.npy'."
    )

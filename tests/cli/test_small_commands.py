"""The commands device-query, dataset and plot."""

import gzip
import struct
from pathlib import Path

import lmdb
import pytest

from pycaffe_lite.cli import device_query
from pycaffe_lite.kernels.runtime.llvm import Target
from pycaffe_lite.proto import caffe_pb2


def test_device_query(run):
    result = run("device-query", "--threads", 3)
    assert (result.code, result.err) == (0, [])
    told = {name: value for name, _, value in (line.partition(": ") for line in result.out)}
    assert list(told) == [
        "Processor",
        "Compiled for",
        "Vector unit",
        "Cores for this process",
        "Threads",
        "Python",
        "NumPy, Numba, llvmlite",
    ]
    assert told["Threads"].strip() == "3"
    assert all(value.strip() for value in told.values())


def test_device_query_of_a_gpu(run):
    result = run("device_query", "-gpu", "0", level=1)
    assert (result.code, result.messages) == (0, ["There is no GPU support: -gpu 0 is ignored"])


@pytest.mark.parametrize(
    ("target", "unit"),
    [(Target(16, 16, False), "128 bits"), (Target(64, 32, True), "512 bits with FMA")],
)
def test_vector_unit(monkeypatch, target, unit):
    monkeypatch.setattr(device_query, "target", lambda: target)
    assert device_query._vector_unit() == unit


def write_idx(folder, name, magic, shape, values):
    content = struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(values)
    with gzip.open(folder / f"{name}.gz", "wb") as file:
        file.write(content)


def test_dataset_mnist(run, tmp_path):
    for kind, count in (("train", 3), ("t10k", 2)):
        write_idx(tmp_path, f"{kind}-images-idx3-ubyte", 2051, (count, 2, 2), range(4 * count))
        write_idx(tmp_path, f"{kind}-labels-idx1-ubyte", 2049, (count,), range(count))
    out = tmp_path / "out"
    result = run("dataset", "mnist", "--from", tmp_path, "--out", out)
    assert result == (
        0,
        [f"{out / 'mnist_train_lmdb'}: 3 records", f"{out / 'mnist_test_lmdb'}: 2 records"],
        [],
    )
    with lmdb.open(str(out / "mnist_test_lmdb"), readonly=True) as database, database.begin() as reading:
        datum = caffe_pb2.Datum.FromString(reading.get(b"00000001"))
    assert (datum.channels, datum.height, datum.width, datum.label) == (1, 2, 2, 1)
    assert datum.data == bytes([4, 5, 6, 7])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plot(folder, run, ending):
    run("train", "solver.prototxt", "--log_file", "a.log")
    result = run("plot", "a.log", f"a.{ending}", "--title", "a run")
    assert result == (0, [f"wrote a.{ending}"], [])
    assert Path(f"a.{ending}").stat().st_size > 1000

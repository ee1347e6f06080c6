import gzip
import struct

import lmdb
import numpy as np
import pytest

from pycaffe_lite.data.database import open_any
from pycaffe_lite.proto import caffe_pb2


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


@pytest.fixture
def cifar(tmp_path):
    """CIFAR-10's files, each of two records: a label, then three planes of 32 x 32."""
    folder = tmp_path / "cifar"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
        records = np.full((2, 3073), 10 * i, np.uint8)
        records[:, 0] = [i, i + 1]
        records.tofile(folder / name)
    return folder


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_dataset_cifar10(run, tmp_path, cifar, backend):
    out = tmp_path / "out"
    result = run("dataset", "cifar10", "--from", cifar, "--out", out, "--backend", backend)
    assert (result.code, result.err) == (0, [])
    assert [line.partition(": ")[2] for line in result.out] == ["10 records", "2 records"]
    path = result.out[1].partition(": ")[0]
    datum = caffe_pb2.Datum.FromString(open_any(tmp_path / path, backend)[1].read(1)[0][1])
    assert (datum.channels, datum.height, datum.width, datum.label) == (3, 32, 32, 5)
    assert datum.data == bytes([50]) * 3072


def test_the_source_of_cifar10_has_to_be_named(misused):
    assert "--from" in misused("dataset", "cifar10")

"""CIFAR-10's databases, of files of a few records."""

import re
import tarfile

import pytest

from pycaffe_lite.data.cifar10 import TEST_FILE, TRAIN_FILES, make_cifar10
from pycaffe_lite.data.database import open_any
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.proto import caffe_pb2

HINT = (
    "name the folder with the files of cifar-10-binary.tar.gz, or that archive, which is at "
    "https://www.cs.toronto.edu/~kriz/cifar.html"
)


@pytest.fixture
def files(tmp_path):
    """The six files, with two records each: labels 0 to 9, then 3 and 4."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        records = [bytes([(2 * i + k) % 10 if i < 5 else 3 + k]) + bytes([i, k] * 1536) for k in range(2)]
        (folder / name).write_bytes(b"".join(records))
    return folder


def content(path):
    _, reader = open_any(path)
    return reader.read(reader.count())


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_databases(files, tmp_path, backend):
    train, test = make_cifar10(files, tmp_path / "out", backend)
    assert (train.path, train.records) == (tmp_path / "out" / f"cifar10_train_{backend}", 10)
    assert (test.path, test.records) == (tmp_path / "out" / f"cifar10_test_{backend}", 2)
    assert [key for key, _ in content(train.path)] == [b"%05d" % i for i in range(10)]
    datum = caffe_pb2.Datum(channels=3, height=32, width=32, data=bytes([5, 1] * 1536), label=4)
    assert content(test.path)[1] == (b"00001", datum.SerializeToString())


def test_the_archive(files, tmp_path):
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        archive.add(files, files.name)
    train, _ = make_cifar10(tmp_path / "cifar.tar.gz", tmp_path)
    assert content(train.path) == content(make_cifar10(files, tmp_path / "out")[0].path)


def refuses(message, *args, kind=DataError):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        make_cifar10(*args)


def test_missing_files(files, tmp_path):
    (files / TEST_FILE).unlink()
    message = f"no such file: '{files}/test_batch.bin': {HINT}"
    refuses(message, files, tmp_path, kind=FileLookupError)
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        archive.add(files, files.name)
    refuses(f"'{tmp_path}/cifar.tar.gz' holds no test_batch.bin: {HINT}", tmp_path / "cifar.tar.gz", tmp_path)


def test_damaged_files(files, tmp_path):
    content = (files / TEST_FILE).read_bytes()
    (files / TEST_FILE).write_bytes(content[:-1])
    message = f"'{files}/test_batch.bin' is damaged: its 6145 bytes are not whole records of 3073"
    refuses(message, files, tmp_path)
    (files / TEST_FILE).write_bytes(b"\x63" + content[1:])
    refuses(f"'{files}/test_batch.bin' is damaged: it has a label 99 of 10 classes", files, tmp_path)
    (tmp_path / "no.tar.gz").write_text("no archive")
    with pytest.raises(DataError) as raised:
        make_cifar10(tmp_path / "no.tar.gz", tmp_path)
    assert str(raised.value).startswith(f"'{tmp_path}/no.tar.gz' is damaged or not an archive: ")

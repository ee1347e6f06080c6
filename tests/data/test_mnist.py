import gzip
import hashlib
import io
import os
import tracemalloc
import urllib.error
import urllib.request

import numpy as np
import pytest
from paths import ROOT

from pycaffe_lite.data import mnist
from pycaffe_lite.data.lmdb_reader import LmdbReader
from pycaffe_lite.data.mnist import FILES, make_mnist
from pycaffe_lite.errors import DataError, FileLookupError

NAMES = list(FILES)


def idx(values, magic):
    header = np.array([magic, *values.shape], ">u4").tobytes()
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def small(tmp_path):
    """Files of MNIST's names: 30 training and 10 test images of 4×3 pixels."""
    folder = tmp_path / "idx"
    folder.mkdir()
    for images, labels, count in ((*NAMES[:2], 30), (*NAMES[2:], 10)):
        pixels = np.arange(count * 12).reshape(count, 4, 3) % 256
        (folder / f"{images}.gz").write_bytes(gzip.compress(idx(pixels, 2051)))
        (folder / labels).write_bytes(idx(np.arange(count) % 10, 2049))
    return folder


def records(path, count):
    return LmdbReader(path).read(count)


def test_the_repository_s_copy_gives_caffe_s_database(caffe_lmdb, tmp_path):
    train, test = make_mnist(None, tmp_path / "out")
    assert train == (tmp_path / "out" / "mnist_train_lmdb", 60_000)
    assert test == (tmp_path / "out" / "mnist_test_lmdb", 10_000)
    assert records(train.path, 200) == records(caffe_lmdb, 200)
    assert records(test.path, 10_000)[-1][0] == b"00009999"


def test_other_files_of_that_format(small, tmp_path):
    train, test = make_mnist(small, tmp_path)
    assert (train.records, test.records) == (30, 10)
    key, value = records(train.path, 2)[1]
    assert key == b"00000001"
    assert value == b"\x08\x01\x10\x04\x18\x03\x22\x0c" + bytes(range(12, 24)) + b"\x28\x01"


def refuses(message, *args, kind=DataError):
    with pytest.raises(kind) as raised:
        make_mnist(*args)
    assert str(raised.value) == message


def test_a_missing_file(small, tmp_path):
    (small / NAMES[3]).unlink()
    refuses(
        f"no such file: '{small}/{NAMES[3]}.gz', nor without '.gz'", small, tmp_path, kind=FileLookupError
    )
    assert not list(tmp_path.glob("*_lmdb"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not an IDX file of labels: it does not begin with the number 2049"),
        (
            idx(np.zeros((30, 1, 1)), 2051),
            "is not an IDX file of labels: it does not begin with the number 2049",
        ),
        (idx(np.zeros(30), 2049)[:-1], "is damaged: it has 37 bytes, its header asks for 38"),
        (idx(np.zeros(30), 2049) + b"x", "is damaged: it has 39 bytes, its header asks for 38"),
        (idx(np.zeros(30), 2049)[:7], "is damaged: it has 7 bytes, its header asks for 9"),
    ],
    ids=range(5),
)
def test_damaged_labels(small, tmp_path, content, problem):
    (small / NAMES[1]).write_bytes(content)
    refuses(f"'{small}/{NAMES[1]}' {problem}", small, tmp_path)


def test_files_that_do_not_belong_together(small, tmp_path):
    (small / NAMES[1]).write_bytes(idx(np.zeros(29), 2049))
    refuses(
        f"'{small}/{NAMES[0]}.gz' holds 30 images, '{small}/{NAMES[1]}' 29 labels: "
        "they do not belong together",
        small,
        tmp_path,
    )


def test_a_damaged_gzip_file(small, tmp_path):
    file = small / f"{NAMES[0]}.gz"
    file.write_bytes(file.read_bytes()[:-20])
    refuses(
        f"'{file}' is damaged: Compressed file ended before the end-of-stream marker was reached",
        small,
        tmp_path,
    )


@pytest.mark.parametrize(
    ("labels", "problem"),
    [(30, "it has 39 bytes, its header asks for 38"), (2**32 - 1, "its header asks for 4294967303 bytes")],
)
def test_gzip_that_holds_much_more_or_less_than_it_says(small, tmp_path, labels, problem):
    file = small / f"{NAMES[1]}.gz"
    file.write_bytes(gzip.compress(np.array([2049, labels], ">u4").tobytes() + bytes(1 << 24)))
    (small / NAMES[1]).unlink(missing_ok=True)
    tracemalloc.start()
    refuses(f"'{file}' is damaged: {problem}", small, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 22


def test_damage_leaves_the_old_databases(small, tmp_path):
    make_mnist(small, tmp_path)
    (small / NAMES[0]).write_bytes(b"")
    (small / f"{NAMES[0]}.gz").unlink()
    with pytest.raises(DataError):
        make_mnist(small, tmp_path)
    assert len(records(tmp_path / "mnist_train_lmdb", 30)) == 30
    assert sorted(os.listdir(tmp_path)) == ["idx", "mnist_test_lmdb", "mnist_train_lmdb"]


class Mirrors:
    """Answers for the internet; remembers what was asked."""

    def __init__(self, content):
        self.content = content
        self.asked = []

    def __call__(self, url, timeout):
        self.asked.append(url)
        assert timeout > 0
        answer = self.content(url)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """The package without its repository, and with mirrors of the test's own."""
    monkeypatch.setattr(mnist, "REPOSITORY_COPY", tmp_path / "nowhere")

    def use(content):
        mirrors = Mirrors(content)
        monkeypatch.setattr(urllib.request, "urlopen", mirrors)
        return mirrors

    return use


def test_download(alone, tmp_path):
    real = ROOT / "models" / "lenet" / "mnist"
    mirrors = alone(lambda url: (real / url.rpartition("/")[2]).read_bytes())
    train, _ = make_mnist(None, tmp_path)
    assert train.records == 60_000
    assert mirrors.asked == [f"{mnist.MIRRORS[0]}{name}.gz" for name in NAMES]


def test_download_tries_all_mirrors_and_checks_what_they_send(alone, tmp_path):
    answers = iter(
        [gzip.compress(b"other"), urllib.error.URLError("no route to host"), b"<html>not found</html>"]
    )
    mirrors = alone(lambda url: next(answers))
    with pytest.raises(DataError) as raised:
        make_mnist(None, tmp_path)
    name = f"{NAMES[0]}.gz"
    one, two, three = mirrors.asked
    assert str(raised.value) == (
        f"cannot download {name} ({one}: other content than MNIST's (SHA-256); "
        f"{two}: <urlopen error no route to host>; "
        f"{three}: '{three}' is damaged: Not a gzipped file (b'<h')): "
        "get MNIST's four files elsewhere and name their folder"
    )
    assert not os.listdir(tmp_path)


def test_files_are_the_originals():
    """The digests are those of the repository's copy."""
    for name, digest in FILES.items():
        content = gzip.decompress((mnist.REPOSITORY_COPY / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest

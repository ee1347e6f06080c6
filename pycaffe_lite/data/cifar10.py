"""CIFAR-10: from its binary version to the two databases of Caffe's convert_cifar_data."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from pycaffe_lite.data.database import LMDB
from pycaffe_lite.data.mnist import Database, File
from pycaffe_lite.data.new_database import Watch, unwatched, write_database
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats.wire import bytes_field, varint_field
from pycaffe_lite.proto.paths import read_regular

TRAIN_FILES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST_FILE = "test_batch.bin"
ARCHIVE = "cifar-10-binary.tar.gz"
_HINT = (
    f"name the folder with the files of {ARCHIVE}, or that archive, which is at "
    "https://www.cs.toronto.edu/~kriz/cifar.html"
)

_CHANNELS, _SIDE = 3, 32
_PIXELS = _CHANNELS * _SIDE * _SIDE
_RECORD = 1 + _PIXELS
_LARGEST = 10_000 * _RECORD
_CLASSES = 10


def make_cifar10(
    source: Path, out: Path, backend: str = LMDB, watch: Watch = unwatched
) -> tuple[Database, Database]:
    """Makes `cifar10_train_lmdb` and `cifar10_test_lmdb`, record for record what Caffe's own tool makes.

    Databases of these names are replaced.

    Args:
        source: a folder with CIFAR-10's six files of binary records, or the archive of these.
        out: the folder for the databases; made where it is missing.
        backend: lmdb, or leveldb, which is also how the names end then. watch: shows how it goes on.

    Returns:
        The training and the test database.

    Raises:
        FileLookupError: one of the files is not there.
        DataError: a file is damaged, or the databases cannot be written.
    """
    files = _read_archive(source) if source.is_file() else _read_folder(source)
    made = []
    for kind, names in (("train", TRAIN_FILES), ("test", (TEST_FILE,))):
        path = out / f"cifar10_{kind}_{backend}"
        parts = [files[name] for name in names]
        count = sum(len(file.content) // _RECORD for file in parts)
        made.append(Database(path, write_database(path, _records(parts), backend, count, watch)))
    return made[0], made[1]


def _records(files: list[File]) -> Iterator[tuple[bytes, bytes]]:
    head = varint_field(1, _CHANNELS) + varint_field(2, _SIDE) + varint_field(3, _SIDE)
    number = 0
    for file in files:
        for start in range(0, len(file.content), _RECORD):
            label = file.content[start]
            pixels = file.content[start + 1 : start + _RECORD]
            yield b"%05d" % number, head + bytes_field(4, pixels) + varint_field(5, label)
            number += 1


def _read_folder(folder: Path) -> dict[str, File]:
    files = {}
    for name in (*TRAIN_FILES, TEST_FILE):
        try:
            content = read_regular(folder / name, _LARGEST, "a file of CIFAR-10", error=DataError)
        except FileLookupError as error:
            raise FileLookupError(f"{error}: {_HINT}") from None
        files[name] = _checked(File(str(folder / name), content))
    return files


def _read_archive(path: Path) -> dict[str, File]:
    files = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in (*TRAIN_FILES, TEST_FILE) and member.isfile() and member.size <= _LARGEST:
                    content = archive.extractfile(member)
                    files[name] = _checked(File(f"{path}: {name}", content.read() if content else b""))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"'{path}' is damaged or not an archive: {error}; {_HINT}") from None
    for name in (*TRAIN_FILES, TEST_FILE):
        if name not in files:
            raise DataError(f"'{path}' holds no {name}: {_HINT}")
    return files


def _checked(file: File) -> File:
    """The file, if it holds whole records of known classes."""
    size = len(file.content)
    if not size or size % _RECORD:
        raise DataError(f"'{file.name}' is damaged: its {size} bytes are not whole records of {_RECORD}")
    classes = max(file.content[::_RECORD])
    if classes >= _CLASSES:
        raise DataError(f"'{file.name}' is damaged: it has a label {classes} of {_CLASSES} classes")
    return file

"""MNIST: from its four IDX files to the two LMDBs that LeNet's prototxt names."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import logging
import math
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.database import LMDB
from pycaffe_lite.data.new_database import Watch, unwatched, write_database
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats.wire import bytes_field, varint_field
from pycaffe_lite.proto.paths import read_regular

log = logging.getLogger(__name__)

# SHA-256 of the files as they are within their gzip wrapping, which differs from mirror to mirror.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
REPOSITORY_COPY = Path(__file__).parents[2] / "models" / "lenet" / "mnist"

_IMAGES_MAGIC, _LABELS_MAGIC = 2051, 2049
_MOST_HEADER_BYTES = 16
# What gzip can make of a byte.
_MOST_EXPANSION = 1032
_TIMEOUT_SECONDS = 30.0
_LARGEST = 2**28  # bytes of one of the files: five times those of MNIST

Bytes = npt.NDArray[np.uint8]


class Database(NamedTuple):
    """A database that was made: its folder and its number of records."""

    path: Path
    records: int


def make_mnist(
    source: Path | None, out: Path, backend: str = LMDB, watch: Watch = unwatched
) -> tuple[Database, Database]:
    """Makes `mnist_train_lmdb` and `mnist_test_lmdb`, record for record what Caffe's own tool makes.

    Databases of these names are replaced.

    Args:
        source: a folder with MNIST's four files, or with others of their names and format, gzipped or not;
            None: the copy in the repository, or else a download.
        out: the folder for the databases; made where it is missing.
        backend: lmdb, or leveldb, which is also how the names end then. watch: shows how it goes on.

    Returns:
        The training and the test database.

    Raises:
        FileLookupError: one of the files is not there.
        DataError: a file is damaged, the download failed, or the databases cannot be written.
    """
    files = _find(source) if source is not None else _ours()
    train_images, train_labels, test_images, test_labels = files
    return (
        convert(train_images, train_labels, out / f"mnist_train_{backend}", backend, watch),
        convert(test_images, test_labels, out / f"mnist_test_{backend}", backend, watch),
    )


class File(NamedTuple):
    """A file in memory: what to call it in errors, and its bytes, unpacked."""

    name: str
    content: bytes


def convert(images: File, labels: File, out: Path, backend: str = LMDB, watch: Watch = unwatched) -> Database:
    """Makes one database of an IDX file of images and one of their labels.

    Keys are record numbers of 8 digits, values Datum messages with one channel of bytes.

    Raises:
        DataError: the files are damaged or do not belong together, or the database cannot be written.
    """
    pixels = _read_idx(images, _IMAGES_MAGIC, "images", axes=3)
    classes = _read_idx(labels, _LABELS_MAGIC, "labels", axes=1)
    if len(pixels) != len(classes):
        raise DataError(
            f"'{images.name}' holds {len(pixels)} images, '{labels.name}' {len(classes)} labels: "
            "they do not belong together"
        )
    return Database(out, write_database(out, _records(pixels, classes), backend, len(pixels), watch))


def _records(pixels: Bytes, classes: Bytes) -> Iterator[tuple[bytes, bytes]]:
    _, H, W = pixels.shape
    head = varint_field(1, 1) + varint_field(2, H) + varint_field(3, W)
    for i, (image, label) in enumerate(zip(pixels, classes, strict=True)):
        yield b"%08d" % i, head + bytes_field(4, image.tobytes()) + varint_field(5, int(label))


def _read_idx(file: File, magic: int, kind: str, axes: int) -> Bytes:
    """The values of an IDX file of bytes: magic number, length of each axis (big-endian), values."""
    start, size = 4 * (1 + axes), len(file.content)
    header = np.frombuffer(file.content[: min(start, size // 4 * 4)], ">u4").tolist()
    if header[:1] != [magic]:
        raise DataError(
            f"'{file.name}' is not an IDX file of {kind}: it does not begin with the number {magic}"
        )
    shape = header[1:]
    wanted = start + math.prod(shape)
    if size != wanted:
        raise DataError(f"'{file.name}' is damaged: it has {size} bytes, its header asks for {wanted}")
    values: Bytes = np.frombuffer(file.content, np.uint8, offset=start).reshape(shape)
    return values


def _size_in_header(head: bytes) -> int:
    """The bytes of an IDX file, header and all, that begins so; its fourth byte is the number of axes."""
    axes = min(head[3] if len(head) > 3 else 0, 3)
    shape: list[int] = np.frombuffer(head[4 : 4 * (1 + axes)].ljust(4 * axes, b"\0"), ">u4").tolist()
    return 4 * (1 + axes) + math.prod(shape)


# ------------------------------------------------------------------------------------ where the files are


def _find(folder: Path) -> list[File]:
    """The four files of a folder."""
    return [_read_file(folder, name) for name in FILES]


def _read_file(folder: Path, name: str) -> File:
    for path in (folder / f"{name}.gz", folder / name):
        try:
            content = read_regular(path, _LARGEST, "a file of MNIST", error=DataError)
        except FileLookupError:
            continue
        return File(str(path), _unpacked(path.name, content, str(path)))
    raise FileLookupError(f"no such file: '{folder / name}.gz', nor without '.gz'")


def _unpacked(name: str, content: bytes, where: str) -> bytes:
    """The content of a file, out of its gzip wrapping, and at most a byte more than its header asks for."""
    if not name.endswith(".gz"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            head = file.read(_MOST_HEADER_BYTES)
            wanted = _size_in_header(head)
            if wanted > _MOST_HEADER_BYTES + _MOST_EXPANSION * len(content):
                raise DataError(f"'{where}' is damaged: its header asks for {wanted} bytes")
            return head + file.read(max(wanted - len(head), 0) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{where}' is damaged: {error}") from None


def _ours() -> list[File]:
    if REPOSITORY_COPY.is_dir():
        return _find(REPOSITORY_COPY)
    return [_download(name, digest) for name, digest in FILES.items()]


def _download(name: str, digest: str) -> File:
    """One file from the first mirror that has it as it should be."""
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        log.info("Downloading %s", url)
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
                content = _unpacked(url, answer.read(), url)
        except (OSError, http.client.HTTPException, DataError) as error:
            failures.append(f"{url}: {error}")
            continue
        if hashlib.sha256(content).hexdigest() == digest:
            return File(url, content)
        failures.append(f"{url}: other content than MNIST's (SHA-256)")
    raise DataError(
        f"cannot download {name}.gz ({'; '.join(failures)}): get MNIST's four files elsewhere and name their "
        "folder"
    )

"""A list of pictures made into records of a database, as Caffe's convert_imageset makes them."""

from __future__ import annotations

import io
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.data.image_list import ImageList, read_list
from pycaffe_lite.data.new_database import earlier_settings, growing_database
from pycaffe_lite.data.whole_database import Writer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats.wire import bytes_field, varint_field
from pycaffe_lite.kernels import available_cores
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

TOOL = "convert-imageset"
_RECORDS_PER_LINE = 1000
_JPEG_QUALITY = 95  # OpenCV's
# Field numbers of Datum.
_CHANNELS, _HEIGHT, _WIDTH, _DATA, _LABEL, _ENCODED = 1, 2, 3, 4, 5, 7
# What pictures can be encoded as, by the endings of their files, and Pillow's names.
_FORMATS = {
    **dict.fromkeys(("jpg", "jpeg", "jpe"), "JPEG"),
    **dict.fromkeys(("tif", "tiff"), "TIFF"),
    "png": "PNG",
    "bmp": "BMP",
    "webp": "WEBP",
}

R = TypeVar("R")


class Settings(NamedTuple):
    """What becomes of each picture.

    Attributes:
        gray: whether one channel is stored, not three.
        resize_height, resize_width: pixels; no resizing unless both are above 0.
        encoded: whether files are stored, not pixels.
        encode_type: the kind of file, "jpg"; empty: that of each picture's own file.
        check_size: whether all must have as many bytes as the first has values.
        shuffle: whether the lines are shuffled.
    """

    gray: bool = False
    resize_height: int = 0
    resize_width: int = 0
    encoded: bool = False
    encode_type: str = ""
    check_size: bool = False
    shuffle: bool = False


class _Record(NamedTuple):
    """A record to be.

    Attributes:
        values: channels times height times width, which an encoded Datum does not tell.
        stored: bytes of the pixels or of the file.
        message: the Datum.
    """

    values: int
    stored: int
    message: bytes


class _Skipped(NamedTuple):
    """A file that cannot be read, and why; empty where it is not there."""

    file: str
    why: str

    def say(self) -> None:
        log.error("Could not open or find file %s", self.file)
        if self.why:
            log.warning("%s", self.why)


class Imageset:
    """The pictures of a list, and the database that they are for.

    Args:
        root: what stands before each name, with its slash.
        list_file: the list; where there is none, or an empty one, the database will be empty, as in Caffe.
        out: the database's folder. backend: lmdb or leveldb.
        settings: what becomes of each picture.
        resume: whether to go on with a database that was begun in the same way; where there is none, it is
            begun.

    Raises:
        DataError: the list cannot be read; Pillow is missing; what is to be gone on with was not begun here.
    """

    def __init__(
        self, root: str, list_file: Path, out: Path, backend: str, settings: Settings, resume: bool = False
    ) -> None:
        image.check_pillow("reading pictures")
        self._root = root
        self._out = out
        self._backend = backend
        self._settings = settings
        self._resume = resume
        self._list = _lines_of(list_file)
        lines = len(self._list.names)
        self._order: npt.NDArray[np.int64] = np.arange(lines)
        earlier = earlier_settings(out, TOOL) if resume else None
        self._seed = int.from_bytes(os.urandom(4), "little") if settings.shuffle else None
        if settings.shuffle:
            log.info("Shuffling data")
            if earlier is not None and isinstance(earlier.get("seed"), int):
                self._seed = earlier["seed"]  # the same order again
            self._order = RandomStream(self._seed).permutation(lines)
        log.info("A total of %d images.", lines)
        if settings.encode_type and not settings.encoded:
            log.info("encode_type specified, assuming encoded=true.")

    def __len__(self) -> int:
        return len(self._order)

    def convert(self, done: Callable[[int], None]) -> int:
        """Makes the database.

        Args:
            done: is called after each picture, with the number of lines that it stands for.

        Returns:
            The number of records that the database has in the end.

        Raises:
            DataError: a picture has another size than the first, and `check_size` is set; the database cannot
                be written.
        """
        settings = {
            **self._settings._asdict(),
            "root": _absolute(self._root),
            "list": self._list.checksum,
            "backend": self._backend,
            "seed": self._seed,
        }
        with growing_database(self._out, self._backend, TOOL, settings, resume=self._resume) as writer:
            first = self._first_line(writer)
            done(first)
            count = writer.records
            size = self._first_size(first)
            for line, record in _ordered(self._record, range(first, len(self._order))):
                if isinstance(record, _Skipped):
                    record.say()
                else:
                    if self._settings.check_size:
                        size = record.values if size is None else self._checked(line, record, size)
                    writer.put(self._key(line), record.message)
                    count += 1
                    if count % _RECORDS_PER_LINE == 0:
                        log.info("Processed %d files.", count)
                done(1)
            if count % _RECORDS_PER_LINE:
                log.info("Processed %d files.", count)
        return writer.records

    def _first_line(self, writer: Writer) -> int:
        """The line behind that of the last record."""
        number = writer.last_key.partition(b"_")[0]
        return int(number) + 1 if number.isdigit() else 0

    def _first_size(self, lines: int) -> int | None:
        """What `check_size` compares with, of so many lines that are done."""
        if self._settings.check_size:
            for line in range(lines):
                record = self._record(line)
                if isinstance(record, _Record):
                    return record.values
        return None

    def _key(self, line: int) -> bytes:
        name: str = self._list.names[self._order[line]]
        return b"%08d_" % line + name.encode("utf-8", "surrogateescape")

    def _checked(self, line: int, record: _Record, size: int) -> int:
        if record.stored != size:
            name = self._list.names[self._order[line]]
            encoded = "; encoded pictures cannot be checked" if self._settings.encoded else ""
            raise DataError(
                f"picture '{self._root}{name}' gives {record.stored} bytes, the first one {size} values: "
                f"make all of one size, or leave out --check_size{encoded}"
            )
        return size

    def _record(self, line: int) -> _Record | _Skipped:
        """What becomes of a line."""
        index = self._order[line]
        file, label = self._root + self._list.names[index], int(self._list.labels[index])
        s = self._settings
        try:
            pixels = image.read(Path(file), not s.gray).pixels
        except FileLookupError:
            return _Skipped(file, "")
        except DataError as error:
            return _Skipped(file, str(error))
        if s.resize_height > 0 and s.resize_width > 0:
            pixels = image.resize(pixels, s.resize_height, s.resize_width)
        encoding = s.encode_type or (_ending(self._list.names[index]) if s.encoded else "")
        if not encoding:
            return _raw_datum(pixels, label)
        is_as_wanted = _ending(file) in (encoding.lower(), *(["jpeg"] if encoding.lower() == "jpg" else []))
        if is_as_wanted and not (s.resize_height or s.resize_width):
            return _encoded_datum(Path(file).read_bytes(), label)
        return _encoded_datum(_encode(pixels, encoding, file), label)


def _lines_of(list_file: Path) -> ImageList:
    """The list; an empty one where Caffe finds nothing."""
    try:
        return read_list(list_file)
    except FileLookupError as error:
        problem = str(error)
    except DataError as error:
        if list_file.stat().st_size:
            raise
        problem = str(error)
    log.warning("%s; the database will be empty, as in Caffe", problem)
    return ImageList(list_file, [], np.empty(0, np.int32), 0)


def _absolute(root: str) -> str:
    """What stands before each name, from the root of the file system on; `a/` and `a` differ."""
    folder, beginning = os.path.split(root)
    return os.path.join(os.path.abspath(folder or "."), beginning)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _raw_datum(pixels: Pixels, label: int) -> _Record:
    H, W, C = pixels.shape
    sizes = varint_field(_CHANNELS, C) + varint_field(_HEIGHT, H) + varint_field(_WIDTH, W)
    data = bytes_field(_DATA, pixels.transpose(2, 0, 1).tobytes())
    message = b"".join([sizes, data, varint_field(_LABEL, label), varint_field(_ENCODED, 0)])
    return _Record(C * H * W, C * H * W, message)


def _encoded_datum(content: bytes, label: int) -> _Record:
    message = b"".join([bytes_field(_DATA, content), varint_field(_LABEL, label), varint_field(_ENCODED, 1)])
    return _Record(0, len(content), message)


def _encode(pixels: Pixels, encoding: str, file: str) -> bytes:
    from PIL import Image

    kind = _FORMATS.get(encoding.lower())
    if kind is None:
        raise DataError(
            f"picture '{file}' cannot be encoded as '{encoding}': give an --encode_type out of "
            f"{', '.join(_FORMATS)}"
        )
    picture = Image.fromarray(
        np.ascontiguousarray(pixels[..., ::-1] if pixels.shape[2] > 1 else pixels[..., 0])
    )
    content = io.BytesIO()
    # As OpenCV does without being told.
    picture.save(content, kind, **({"lossless": True} if kind == "WEBP" else {"quality": _JPEG_QUALITY}))
    return content.getvalue()


def _ordered(function: Callable[[int], R], items: Iterable[int]) -> Iterator[tuple[int, R]]:
    """What a function makes of each item, in their order; several threads work ahead."""
    workers = available_cores()
    rest = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[tuple[int, Future[R]]] = deque()
        try:
            ahead.extend((item, pool.submit(function, item)) for item in islice(rest, 2 * workers))
            while ahead:
                item, result = ahead.popleft()
                yield item, result.result()
                ahead.extend((item, pool.submit(function, item)) for item in islice(rest, 1))
        finally:
            pool.shutdown(cancel_futures=True)

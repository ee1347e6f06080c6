"""Reading LevelDB databases, record after record, without end, and without writing to them.

LevelDB itself writes whenever it opens a database, and lets one process in at a time. Here nothing is written
and nothing locked: a read-only folder will do, and any number may read.

The file CURRENT names the MANIFEST, a log of changes to the set of tables; what has been written since the
last table was made stands in logs. The newest entry of a key counts.

Source: doc/impl.md of google/leveldb
"""

from __future__ import annotations

import heapq
import logging
import os
import re
import weakref
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, NoReturn

from pycaffe_lite.data.leveldb_log import AheadFile, LevelDbError, LogRecord, read_log, span, writes_of
from pycaffe_lite.data.leveldb_tables import Entry, LogValue, Table
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import wire
from pycaffe_lite.formats.atomic import reason

log = logging.getLogger(__name__)

Record = tuple[bytes, bytes]

CURRENT_FILE = "CURRENT"
COMPARATOR = b"leveldb.BytewiseComparator"

_OPEN_TABLES = 32
# What the MANIFEST tells.
COMPARATOR_TAG, LOG_TAG, NEXT_FILE_TAG, LAST_WRITE_TAG, _COMPACT_TAG, _DELETED_TAG, _NEW_TAG = range(1, 8)
PREVIOUS_LOG_TAG = 9


class LevelDbReader:
    """Goes through the records of a LevelDB in the order of their keys, and starts again after the last.

    Several readers may read one database, of several processes too. A reader is used by one thread at a time.
    It sees the database as it was when the reader was made.

    Args:
        path: the database's folder.

    Raises:
        DataError: the folder holds no LevelDB, an empty one, or one that is damaged.
    """

    counts_at_once = False

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._state = _State(path)
        except LevelDbError as error:
            self._fail(error)
        except OSError as error:
            self._fail(_os_reason(error))
        log.info("Opened leveldb %s", path)
        self._go_to_first()

    @property
    def key(self) -> bytes:
        """The key of the record that comes next."""
        return self._next[0]

    def seek(self, key: bytes) -> None:
        """Makes the record with this key the next.

        Raises:
            DataError: there is none, or the database is damaged.
        """
        records = self._records_from(key)
        first = next(records, None)
        if first is None or first[0] != key:
            raise DataError(f"LevelDB '{self.path}' has no record with the key '{key_text(key)}'")
        self._records, self._next = records, first

    def peek(self) -> Record:
        """Key and value of the record that comes next.

        Raises:
            DataError: the database is damaged.
        """
        key, value = self._next
        return key, self._value(value)

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records.

        Raises:
            DataError: the database is damaged.
        """
        records = []
        for _ in range(count):
            records.append(self.peek())
            self._step()
        return records

    def skip(self, count: int) -> None:
        """Steps over the next `count` records.

        Raises:
            DataError: the database is damaged.
        """
        for _ in range(count):
            self._step()

    def _step(self) -> None:
        following = next(self._records, None)
        if following is None:
            log.info("Restarting data prefetching from start.")
            self._go_to_first()
        else:
            self._next = following

    def count(self) -> int:
        """How many records there are: all are gone through, where there is more than a log."""
        return sum(1 for _ in self._records_from(b""))

    def keys(self) -> list[bytes]:
        """The keys of all records, in their order; the record that comes next stays the same."""
        return [key for key, _ in self._records_from(b"")]

    def _go_to_first(self) -> None:
        self._records = self._records_from(b"")
        first = next(self._records, None)
        if first is None:
            raise DataError(f"LevelDB '{self.path}' holds no records: fill it, or name another source")
        self._next = first

    def _records_from(self, key: bytes) -> Iterator[tuple[bytes, bytes | LogValue]]:
        try:
            yield from self._state.records(key)
        except LevelDbError as error:
            self._fail(error)
        except OSError as error:
            self._fail(_os_reason(error))

    def _value(self, value: bytes | LogValue) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return self._state.logs.value(value)
        except (LevelDbError, OSError) as error:
            self._fail(_os_reason(error) if isinstance(error, OSError) else error)

    def _fail(self, why: LevelDbError | str) -> NoReturn:
        raise DataError(f"cannot read LevelDB '{self.path}': {why}") from None


def _os_reason(error: OSError) -> str:
    name = f"{Path(os.fsdecode(error.filename)).name}: " if error.filename else ""
    return f"{name}{reason(error)}"


class _TableFile(NamedTuple):
    """What the MANIFEST says of a table: its number, size, first and last key (the user's)."""

    number: int
    size: int
    first: bytes
    last: bytes


class _State:
    """A database as its MANIFEST and logs leave it.

    Raises:
        LevelDbError: it is damaged, or no LevelDB. OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: OrderedDict[int, Table] = OrderedDict()
        manifest = _Manifest(path)
        young = [[table] for (level, _), table in manifest.tables.items() if level == 0]
        levels = {level for level, _ in manifest.tables if level}
        old = [sorted(t for (n, _), t in manifest.tables.items() if n == level) for level in sorted(levels)]
        # Runs of tables whose keys do not overlap.
        self._runs = young + [sorted(tables, key=lambda table: table.first) for tables in old]
        for table in manifest.tables.values():
            file = self._file(table.number)
            if (size := file.stat().st_size) != table.size:
                raise LevelDbError(
                    f"{file.name} has {size} bytes, not {table.size}; copy the database or make it again"
                )
        self.logs = _Logs(path, manifest)

    def records(self, key: bytes) -> Iterator[tuple[bytes, bytes | LogValue]]:
        """The records from a key on."""
        runs = [self._run(tables, key) for tables in self._runs]
        if self.logs.keys:
            runs.append(self.logs.entries(key))
        entries = runs[0] if len(runs) == 1 else heapq.merge(*runs, key=itemgetter(0, 1))
        last: bytes | None = None
        for user_key, _, value in entries:
            if user_key != last:  # of the entries of a key, the newest comes first
                last = user_key
                if value is not None:
                    yield user_key, value

    def _run(self, tables: list[_TableFile], key: bytes) -> Iterator[Entry]:
        for table in tables[bisect_left([table.last for table in tables], key) :]:
            yield from self._table(table.number).entries(key)

    def _table(self, number: int) -> Table:
        """A table, opened; the one that was asked for longest ago is forgotten for that."""
        if number not in self._open:
            self._open[number] = Table(self._file(number))
            if len(self._open) > _OPEN_TABLES:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]

    def _file(self, number: int) -> Path:
        for ending in ("ldb", "sst"):  # as it is called now, as it was in Caffe's first years
            file = self._path / f"{number:06}.{ending}"
            if file.exists():
                return file
        raise LevelDbError(f"its table {number:06}.ldb is missing; copy or make it again")


class _Manifest:
    """Which files count.

    Attributes:
        tables: (level, number) → table.
        log_number: of the first log that counts; previous_log: another one that does, 0 for none.
    """

    def __init__(self, path: Path) -> None:
        current = path / CURRENT_FILE
        if not current.is_file():
            raise LevelDbError(f"it holds no file {CURRENT_FILE}")
        content = current.read_bytes()[:100]
        if not re.fullmatch(rb"MANIFEST-\d+\n", content):
            raise LevelDbError(f"its file {CURRENT_FILE} is damaged; copy or make it again")
        name = content[:-1].decode()
        self.tables: dict[tuple[int, int], _TableFile] = {}
        self.log_number = self.previous_log = 0
        self._told: set[int] = set()
        for record in _records_of(path / name):
            try:
                self._edit(record.content)
            except wire.WireError as error:
                raise LevelDbError(
                    f"{name} holds what LevelDB does not write ({error.problem}): it is damaged, or RocksDB's"
                ) from None
        if not {LOG_TAG, NEXT_FILE_TAG, LAST_WRITE_TAG} <= self._told:
            raise LevelDbError(f"{name} is cut off; copy or make it again")

    def _edit(self, content: bytes) -> None:
        """Takes in a change of the set of files."""
        fields = _Fields(content)
        while not fields.at_end():
            tag = fields.number()
            self._told.add(tag)
            if tag == COMPARATOR_TAG:
                if (comparator := fields.text()) != COMPARATOR:
                    raise LevelDbError(
                        f"its keys are in an order of their own, {key_text(comparator)}; Caffe's are in that "
                        "of their bytes"
                    )
            elif tag == LOG_TAG:
                self.log_number = fields.number()
            elif tag == PREVIOUS_LOG_TAG:
                self.previous_log = fields.number()
            elif tag in (NEXT_FILE_TAG, LAST_WRITE_TAG):
                fields.number()
            elif tag == _COMPACT_TAG:
                fields.number()
                fields.text()
            elif tag == _DELETED_TAG:
                self.tables.pop((fields.number(), fields.number()), None)
            elif tag == _NEW_TAG:
                level, number, size = fields.number(), fields.number(), fields.number()
                first, last = fields.text()[:-8], fields.text()[:-8]
                self.tables[level, number] = _TableFile(number, size, first, last)
            else:
                raise wire.WireError(0, f"a field {tag}")


class _Fields:
    """Reads numbers and texts of a record one after another; raises WireError."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self.position = 0

    def at_end(self) -> bool:
        return self.position >= len(self._content)

    def number(self) -> int:
        value, self.position = wire.read_varint(self._content, self.position, len(self._content))
        return value

    def text(self) -> bytes:
        start, self.position = span(self._content, self.position, len(self._content))
        return bytes(self._content[start : self.position])


class _Logs:
    """The entries of the logs that count; the values stay in the files.

    Attributes:
        keys: of the entries, in order.
    """

    def __init__(self, path: Path, manifest: _Manifest) -> None:
        self._descriptors: list[int] = []
        # Not at the end of the process: threads may still be reading then.
        weakref.finalize(self, _close, self._descriptors).atexit = False
        # Of each record of the logs: the log's name and file, the pieces that it lies in, and at how many of
        # its bytes each of them ends.
        self._records: list[tuple[str, AheadFile, list[int], tuple[tuple[int, int], ...]]] = []
        # Of each key: age, record, start and end of the value; end -1 for a deletion.
        self._newest: dict[bytes, tuple[int, int, int, int]] = {}
        logs = sorted((int(file.stem), file) for file in path.glob("*.log") if file.stem.isdigit())
        for number, file in logs:
            if number >= manifest.log_number or number == manifest.previous_log:
                self._read(file)
        self.keys = sorted(self._newest)

    def entries(self, key: bytes) -> Iterator[Entry]:
        """The entries from a key on, the last of each key."""
        for i in range(bisect_left(self.keys, key), len(self.keys)):
            age, record, start, end = self._newest[self.keys[i]]
            yield Entry(self.keys[i], age, LogValue(record, start, end) if end >= 0 else None)

    def value(self, value: LogValue) -> bytes:
        """A value, read. Raises LevelDbError, OSError."""
        name, file, ends, pieces = self._records[value.record]
        parts, start, missing = [], value.start, value.end - value.start
        index = bisect_right(ends, start)
        while missing:
            (offset, length), end = pieces[index], ends[index]
            size = min(missing, end - start)
            parts.append(file.read(offset + length - (end - start), size))
            if len(parts[-1]) != size:
                raise LevelDbError(f"{name} became shorter; copy or make it again")
            start, missing, index = end, missing - size, index + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        self._descriptors.append(descriptor)
        log_file = AheadFile(descriptor)
        for record in read_log(descriptor, file.name):
            ends = list(accumulate(length for _, length in record.pieces))
            self._records.append((file.name, log_file, ends, record.pieces))
            try:
                self._add(record.content)
            except wire.WireError:
                raise LevelDbError(
                    f"{file.name} is damaged before byte {record.end}; copy or make it again"
                ) from None

    def _add(self, content: bytes) -> None:
        """Takes in the writes of the last record."""
        index = len(self._records) - 1
        for number, key, start, end in writes_of(content):
            self._newest[key] = -(number << 8 | (end >= 0)), index, start, end


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _records_of(file: Path) -> Iterator[LogRecord]:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield from read_log(descriptor, file.name)
    finally:
        os.close(descriptor)

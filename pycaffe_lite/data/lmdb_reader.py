"""Reading LMDB databases, record after record, without end."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import weakref
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pycaffe_lite.data.lmdb_pages import LmdbError, LongValue, damaged, key_text
from pycaffe_lite.data.lmdb_snapshot import Records, Snapshot
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import reason

log = logging.getLogger(__name__)

Record = tuple[bytes, bytes]
T = TypeVar("T")

DATA_FILE = "data.mdb"

# How many leaf pages to read at once, where they hold the values, too.
_PAGES_AT_ONCE = 64
# How often in a row to read anew what other processes have overwritten meanwhile.
_MOST_TRIES = 1000
# How often to read meta pages that seem damaged: another process may have been writing them.
_META_TRIES = 3


class LmdbReader:
    """Goes through the records of an LMDB in the order of their keys, and starts again after the last.

    Several readers may read one database. A reader is used by one thread at a time.

    Other processes may write to the database meanwhile: each record comes as a finished transaction left it.
    Whether later changes are seen is open. The reader keeps to the transaction that was the last when it was
    made until a writer uses that one's pages again; then it goes on with the newest. (LMDB's own readers keep
    writers from that by an entry in lock.mdb; this one needs neither that file nor the right to write it.)

    Args:
        path: the database's folder.

    Raises:
        DataError: the folder holds no LMDB, an empty one, or one that is damaged.
    """

    counts_at_once = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = _open(path)
        # Not at the end of the process: threads may still be reading then.
        weakref.finalize(self, os.close, self._descriptor).atexit = False
        log.info("Opened lmdb %s", path)
        self._snapshot = self._newest()
        self._tries = 0
        # Records at hand; which of them comes next; how many came before these, None where that is not known.
        self._records = Records([], [], False, None)
        self._next = 0
        self._passed: int | None = 0
        self._go_to_first()

    @property
    def key(self) -> bytes:
        """The key of the record that comes next."""
        return self._records.keys[self._next]

    def seek(self, key: bytes) -> None:
        """Makes the record with this key the next.

        Raises:
            DataError: there is none, or the database is damaged.
        """
        here = self.key
        if not (self._go_to(key, bisect_left) and self.key == key):
            if not self._go_to(here, bisect_left):
                self._go_to_first()
            raise DataError(f"LMDB '{self.path}' has no record with the key '{key_text(key)}'")

    def peek(self) -> Record:
        """Key and value of the record that comes next.

        Raises:
            DataError: the database is damaged.
        """
        return self._at_hand(1)[0]

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records.

        Raises:
            DataError: the database is damaged.
        """
        records: list[Record] = []
        while (missing := count - len(records)) > 0:
            part = self._at_hand(missing)
            records += part
            self._step(len(part))
        return records

    def skip(self, count: int) -> None:
        """Steps over the next `count` records; long values are not read.

        Raises:
            DataError: the database is damaged.
        """
        while count > 0:
            part = min(count, len(self._records.keys) - self._next)
            self._step(part)
            count -= part

    def count(self) -> int:
        """How many records there are."""
        return self._snapshot.entries

    def keys(self) -> list[bytes]:
        """The keys of all records, in their order; the record that comes next stays the same.

        Raises:
            DataError: the database is damaged.
        """
        here, keys = self.key, list[bytes]()
        self._go_to_first()
        while True:
            keys += self._records.keys
            if self._records.next is None:
                break
            self._step(len(self._records.keys))
            if self._snapshot.order(self.key) <= self._snapshot.order(keys[-1]):
                break  # the records behind have gone meanwhile
        self.seek(here)
        return keys

    def _at_hand(self, most: int) -> list[Record]:
        """The next records: one, or more where their values have been read already."""
        while True:
            start, stop = self._next, self._next + most
            values = self._records.values[start:stop]
            if not self._records.has_long:
                return list(zip(self._records.keys[start:stop], values, strict=True))  # type: ignore[arg-type]
            key, value = self.key, values[0]
            try:
                if isinstance(value, LongValue):
                    value = self._in_one_piece(self._snapshot.long_value, value)
                return [(key, value)]
            except _OverwrittenError:
                # The value may be elsewhere now, and the record may be gone.
                if not self._go_to(key, bisect_left):
                    self._start_again()

    def _step(self, count: int) -> None:
        """Steps over records that were at hand."""
        records, behind = self._records, self._next + count
        if behind < len(records.keys):
            self._next = behind
            return
        last, place = records.keys[-1], records.next
        if place is None:
            self._check_number()
            self._start_again()
            return
        try:
            pages = 1 if records.has_long else _PAGES_AT_ONCE
            following = self._in_one_piece(self._snapshot.records, place, pages)
        except _OverwrittenError:
            if not self._go_to(last, bisect_right):
                self._start_again()
            return
        if self._snapshot.order(following.keys[0]) <= self._snapshot.order(last):
            raise self._unreadable(damaged(place.page))
        if self._passed is not None:
            self._passed += len(records.keys)
        self._records, self._next = following, 0

    def _check_number(self) -> None:
        """Checks, behind the last record, whether there were as many as there should be."""
        there = self._snapshot.entries
        if self._passed is not None and (found := self._passed + len(self._records.keys)) != there:
            raise self._unreadable(
                f"data.mdb is damaged, {found} of {there} records were found; copy or make it again"
            )

    def _start_again(self) -> None:
        log.info("Restarting data prefetching from start.")
        self._go_to_first()

    def _go_to_first(self) -> None:
        """Makes the first record the next.

        Raises:
            DataError: there is none, or the database is damaged.
        """
        while True:
            if not self._snapshot.entries:
                raise DataError(f"LMDB '{self.path}' holds no records: fill it, or name another source")
            with contextlib.suppress(_OverwrittenError):
                self._records = self._in_one_piece(lambda: self._snapshot.records(self._snapshot.first(), 1))
                self._next = self._passed = 0
                return

    def _go_to(self, key: bytes, side: Callable[..., int]) -> bool:
        """Makes the record with a key, or the first behind it, the next.

        Args:
            key: of the record.
            side: bisect_left, or bisect_right to leave out a record with this very key.

        Returns:
            Whether there is such a record.
        """
        while True:
            if not self._snapshot.entries:
                return False
            with contextlib.suppress(_OverwrittenError):
                found = self._in_one_piece(self._search, key, side)
                if found is not None:
                    self._records, self._next = found
                    self._passed = None  # how many records come before is not known
                return found is not None

    def _search(self, key: bytes, side: Callable[..., int]) -> tuple[Records, int] | None:
        snapshot, place = self._snapshot, self._snapshot.find(key)
        # What is behind a key may begin with the next page.
        for _ in range(2):
            records = snapshot.records(place, 1)
            index = side([snapshot.order(k) for k in records.keys], snapshot.order(key))
            if index < len(records.keys):
                return records, index
            if records.next is None:
                return None
            place = records.next
        raise damaged(place.page)

    def _in_one_piece(self, read: Callable[..., T], *args: Any) -> T:
        """What `read` gives, if nothing that it read has been overwritten meanwhile.

        Raises:
            _OverwrittenError: something has; the newest snapshot has become `_snapshot`.
            DataError: the database is damaged, or cannot be read.
        """
        try:
            result: T | LmdbError = read(*args)
        except LmdbError as error:
            result = error
        except OSError as error:
            raise self._unreadable(reason(error)) from None
        if self._stands():
            self._tries = 0
            if isinstance(result, LmdbError):
                raise self._unreadable(result)
            return result
        self._tries += 1
        if self._tries > _MOST_TRIES:
            raise self._unreadable("other processes write to it faster than it can be read")
        self._snapshot = self._newest()
        raise _OverwrittenError

    def _stands(self) -> bool:
        try:
            return self._snapshot.stands()
        except OSError as error:
            raise self._unreadable(reason(error)) from None

    def _newest(self) -> Snapshot:
        problem: LmdbError | str = ""
        for _ in range(_META_TRIES):
            try:
                return Snapshot(self._descriptor)
            except LmdbError as error:
                problem = error
            except OSError as error:
                problem = reason(error)
        raise self._unreadable(problem)

    def _unreadable(self, why: LmdbError | str) -> DataError:
        return DataError(f"cannot read LMDB '{self.path}': {why}")


class _OverwrittenError(Exception):
    """What was read is not of one transaction: another process has written meanwhile."""


def _open(path: Path) -> int:
    """The descriptor of a database's data.mdb."""
    file = path / DATA_FILE
    try:
        # Looked at before it is opened: opening a named pipe would wait for its writer.
        status = file.stat()
        if stat.S_ISREG(status.st_mode):
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_size:
                return descriptor
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"'{path}' is not an LMDB: it holds no file {DATA_FILE}") from None
    except OSError as error:
        raise DataError(f"cannot read LMDB '{path}': {DATA_FILE}: {reason(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"'{path}' is not an LMDB: its {DATA_FILE} is not a file")
    raise DataError(f"cannot read LMDB '{path}': {DATA_FILE} is empty; copy or make it again")

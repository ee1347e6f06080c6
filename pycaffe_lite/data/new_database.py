"""Making databases of either kind: at once, or in a conversion that takes long and may be stopped."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pycaffe_lite.data.conversion import Mark, read_mark, write_mark
from pycaffe_lite.data.database import LMDB
from pycaffe_lite.data.leveldb_writer import LevelDbWriter, write_leveldb
from pycaffe_lite.data.lmdb_writer import LmdbWriter, write_lmdb
from pycaffe_lite.data.whole_database import Writer, sync_folder
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import reason

# Shows that something is made, given its name and the number of records; yields what to call after each.
Watch = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


def unwatched(name: str, count: int) -> AbstractContextManager[Callable[[], None]]:
    """Shows nothing."""
    return contextlib.nullcontext(lambda: None)


def write_database(
    path: Path, records: Iterable[tuple[bytes, bytes]], backend: str, count: int, watch: Watch = unwatched
) -> int:
    """Writes a database that is there whole, or not at all; see `write_whole`.

    Args:
        path, records: as there. backend: lmdb or leveldb.
        count: number of records. watch: shows how it goes on.
    """

    def watched() -> Iterator[tuple[bytes, bytes]]:
        with watch(path.name, count) as done:
            for record in records:
                yield record
                done()

    return (write_lmdb if backend == LMDB else write_leveldb)(path, watched())


def earlier_settings(path: Path, tool: str) -> Mapping[str, Any] | None:
    """The settings with which a conversion was begun that may be taken up again; None where there is nothing.

    Raises:
        DataError: there is something that this tool has not begun, or has finished.
    """
    if not path.is_dir() or not any(path.iterdir()):
        return None
    mark = read_mark(path)
    if mark is None or mark.tool != tool or mark.settings is None:
        raise DataError(f"cannot go on with '{path}': {tool} has not begun it; name another, or delete it")
    if mark.records is not None:
        raise DataError(f"'{path}' is whole: it holds {mark.records} records, and nothing is left to do")
    return mark.settings


@contextlib.contextmanager
def growing_database(
    path: Path, backend: str, tool: str, settings: Mapping[str, Any] | None, *, resume: bool = False
) -> Iterator[Writer]:
    """Makes a database, or goes on with one, and yields its writer.

    It grows under its own name. At the end of the block all is committed, and the database is marked as
    whole (see `conversion`). Where an exception ends it, what has been committed stays, marked as unfinished;
    where nothing has been, the folder that was made for it goes.

    Args:
        path: the folder to be; the one around it must be there.
        backend: lmdb or leveldb. tool: the command that makes it.
        settings: what the content depends on, for JSON; None where it cannot be taken up again.
        resume: whether a database that was begun with the same settings is gone on with. Without it there
            must be nothing of the name.

    Raises:
        DataError: it is there, or another one than `resume` wants; it cannot be written, or another process
            is writing it.
    """
    earlier = earlier_settings(path, tool) if resume else None
    if earlier is not None:
        _check_same(path, earlier, json.loads(json.dumps(settings)))
    makes_folder = earlier is None and not (resume and path.is_dir())
    if makes_folder:
        _make_folder(path)
    with _alone(path):
        writer: Writer | None = None
        try:
            if earlier is None:
                write_mark(path, Mark(tool, settings))
            writer = LmdbWriter(path) if backend == LMDB else LevelDbWriter(path)
            try:
                yield writer
                writer.commit()
            finally:
                writer.close()
            write_mark(path, Mark(tool, settings, writer.records))
        except BaseException:
            if makes_folder and not (writer and writer.records):
                shutil.rmtree(path, ignore_errors=True)
            raise


def _check_same(path: Path, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    names = earlier.keys() | now.keys()
    other = sorted(name for name in names if earlier.get(name) != now.get(name))
    if other:
        raise DataError(
            f"cannot go on with '{path}': it was begun with another {', '.join(other)}; give the same, or "
            "delete it"
        )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir()
        sync_folder(path.parent)
    except FileExistsError:
        mark = read_mark(path) if path.is_dir() else None
        unfinished = mark is not None and mark.records is None and mark.settings is not None
        hint = "go on with it by --resume, or delete it" if unfinished else "name another, or delete it"
        there = "it is there, unfinished" if unfinished else "it is there already"
        raise DataError(f"cannot make '{path}': {there}; {hint}") from None
    except OSError as error:
        raise DataError(f"cannot make '{path}': {reason(error)}") from None


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other processes that ask for the same out of a folder, where the system has locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is writing '{path}': wait for it, or end it") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)

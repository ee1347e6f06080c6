"""The mark beside a database's files that tells one that is being written from a whole one.

A conversion takes hours, and its database grows under its own name. From the first moment a file says that it
is not finished, and at the end that it is. So one whose writer was stopped is not taken for a whole one, and
can be taken up again. Databases without the file, which everybody else's are, count as whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.proto.paths import read_regular

MARK_FILE = "CONVERSION"
_MOST_BYTES = 1 << 20


class Mark(NamedTuple):
    """What the file says.

    Attributes:
        tool: the command that makes the database.
        settings: what its content depends on; None where it cannot be taken up again.
        records: of the whole database; None as long as it is not finished.
    """

    tool: str
    settings: Mapping[str, Any] | None
    records: int | None = None


def read_mark(path: Path) -> Mark | None:
    """The mark of a database; None where there is none.

    Raises:
        DataError: there is a file of this name that is no mark.
    """
    file = path / MARK_FILE
    if not file.exists():
        return None
    try:
        content = json.loads(read_regular(file, _MOST_BYTES, "a mark", error=DataError))
        return Mark(content["tool"], content["settings"], content["records"])
    except (ValueError, KeyError, TypeError):
        raise DataError(f"'{file}' is damaged: make the database again") from None


def write_mark(path: Path, mark: Mark) -> None:
    """Writes the mark of a database, whole or not at all. Raises DataError."""
    content = json.dumps(mark._asdict(), indent=1) + "\n"
    with atomic_write(path / MARK_FILE, error=DataError) as file:
        file.write(content.encode())


def check_whole(path: Path) -> None:
    """Raises a DataError where a database says that it is not finished."""
    mark = read_mark(path)
    if mark is not None and mark.records is None:
        remedy = "run it again with --resume" if mark.settings is not None else "delete it and run it again"
        raise DataError(
            f"'{path}' is unfinished: {mark.tool}, which writes it, is at work or was stopped; {remedy}"
        )

"""Tables of a training log, as Caffe's parse_log makes them: a row for each test, and for each display.

Column for column and digit for digit what that script writes, with what is odd in it: a row is full once it
has as many columns as the table's first; outputs of several test nets at one iteration share a row, or not,
according to that; the learning rate is the last one read before the row began, and the first row has that of
the second; what stands in a row that no later one follows is left out unless the row is full.

Source: BVLC/caffe tools/extra/parse_log.py, extract_seconds.py
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.solver.log_lines import log_lines

Row = dict[str, float]

_ITERATION = re.compile(r"Iteration (\d+)", re.ASCII)
_OUTPUT = re.compile(r"(Train|Test) net output #(\d+): (\S+) = ([.\deE+-]+)", re.ASCII)
_RATE = re.compile(r"lr = ([-+]?[0-9]*\.?[0-9]+(?:[eE]?[-+]?[0-9]+)?)")
_STAMP = re.compile(r"\s*\S(\d{4})?(\d\d)(\d\d)\s+(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?!\S)", re.ASCII)


@dataclass
class _Table:
    """Rows in the order of the log; the one under way has not as many columns as the first yet."""

    rows: list[Row] = field(default_factory=list)
    _row: Row | None = None

    def add(self, iteration: float, seconds: float, rate: float, name: str, value: float) -> None:
        """Takes an output; at another iteration than the row's, it begins a new row."""
        if self._row is None or self._row["NumIters"] != iteration:
            if self._row is not None:
                self.rows.append(self._row)
            self._row = {"NumIters": iteration, "Seconds": seconds, "LearningRate": rate}
        self._row[name] = value

    def close_full_row(self) -> None:
        """Ends the row under way if it has as many columns as the first."""
        if self._row is not None and self.rows and len(self._row) == len(self.rows[0]):
            self.rows.append(self._row)
            self._row = None


def parse_log(path: Path) -> tuple[list[Row], list[Row]]:
    """Reads a training log into tables.

    Args:
        path: a log of Caffe or of ours.

    Returns:
        The rows of the train net and those of the test nets. Each has NumIters, Seconds since the line with
        "Solving", LearningRate, and the outputs by their names.

    Raises:
        FileLookupError: no such file. DataError: it cannot be read, or says nowhere when training began.
    """
    year = datetime.datetime.fromtimestamp(path.stat().st_mtime).year if path.exists() else 1
    tables = {"Train": _Table(), "Test": _Table()}
    iteration = rate = math.nan
    start = next((_time(line, year) for line in log_lines(path) if "Solving" in line), None)
    month = 0
    for line in log_lines(path):
        time = _time(line, year)
        if time is not None and time.month < month:
            year += 1
            time = _time(line, year)
        month = time.month if time is not None else month
        if found := _ITERATION.search(line):
            iteration = float(found[1])
        if math.isnan(iteration) or time is None:
            continue
        if found := _RATE.search(line):
            rate = float(found[1])
        if (found := _OUTPUT.search(line)) and (value := _number(found[4])) is not None:
            if start is None:
                raise DataError(f"'{path}' has outputs, but no line with 'Solving', at which training began")
            seconds = (time - start).total_seconds()
            tables[found[1]].add(iteration, seconds, rate, found[3], value)
        for table in tables.values():
            table.close_full_row()
    for table in tables.values():
        if len(table.rows) > 1:  # Caffe logs the rate behind the outputs
            table.rows[0]["LearningRate"] = table.rows[1]["LearningRate"]
    return tables["Train"].rows, tables["Test"].rows


def _time(line: str, year: int) -> datetime.datetime | None:
    """When a line was written; None for one without glog's prefix, which may name the year."""
    found = _STAMP.match(line)
    if not found:
        return None
    own_year, month, day, hour, minute, second = (int(part or year) for part in found.groups()[:6])
    try:
        microsecond = int((found[7] or "").ljust(6, "0"))
        return datetime.datetime(own_year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def write_tables(log: Path, folder: Path, delimiter: str = ",") -> list[Path]:
    """Writes the tables of a log, `NAME.train` and `NAME.test`, into a folder; none without rows.

    Args:
        log: the log. folder: where to write. delimiter: what stands between columns.

    Returns:
        The files that were written, each whole.

    Raises:
        DataError: a file cannot be written, or a row has an output that the first row has not; and as
            `parse_log`.
    """
    written = []
    for suffix, rows in zip(("train", "test"), parse_log(log), strict=True):
        if not rows:
            continue
        path = folder / f"{log.name}.{suffix}"
        text = _table_text(rows, delimiter, log)
        with atomic_write(path, error=DataError) as file:
            file.write(text.encode())
        written.append(path)
    return written


def _table_text(rows: Iterable[Row], delimiter: str, log: Path) -> str:
    rows = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    for row in rows:
        if extra := [name for name in row if name not in rows[0]]:
            raise DataError(
                f"'{log}': at iteration {row['NumIters']:g} there is an output '{extra[0]}', which the first "
                f"row of the table, of iteration {rows[0]['NumIters']:g}, does not have"
            )
        writer.writerow(row)
    return out.getvalue()

"""The runs that a page shows: the one under way, records of others, and logs, Caffe's too."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pycaffe_lite.errors import DataError, FileLookupError, PycaffeError
from pycaffe_lite.printable import printable
from pycaffe_lite.solver.curves import Curve, Curves, read_curves
from pycaffe_lite.view.dashboard.course import Course, Points
from pycaffe_lite.view.dashboard.graph import graph_in_log
from pycaffe_lite.view.dashboard.record import SUFFIX, Line, Panel, RunRecord, Status, read_record
from pycaffe_lite.view.speed import Pace
from pycaffe_lite.view.traces import distinct, label_of

# A file is looked at again after this, and read again, if it has changed, within this share of the time.
LOOK_SECONDS, READ_SHARE = 2.0, 0.1
# A record that has not been written to for so long is that of a training that was killed.
ABANDONED_SECONDS = 600.0
# Curves of a log, of which the first are shown.
MOST_LINES = 60


class ShownRun:
    """A run of the page.

    Attributes:
        name: which tells it from the others.
    """

    def __init__(self, name: str) -> None:
        self.name = printable(name)

    def record(self) -> RunRecord:
        """What there is to see of it now."""
        raise NotImplementedError


class LiveRun(ShownRun):
    """The run of a solver in this process."""

    def __init__(self, name: str, record: RunRecord) -> None:
        super().__init__(name)
        self._record = record

    def record(self) -> RunRecord:
        """The one that is being written to."""
        return self._record


class FileRun(ShownRun):
    """A run of which a file tells; the file is read again when it has changed.

    Args:
        name: of the run. path: of the file. read: reads it.

    Raises:
        PycaffeError: it cannot be read.
    """

    def __init__(self, name: str, path: Path, read: Callable[[Path], RunRecord]) -> None:
        super().__init__(name)
        self.path = path
        self._read = read
        self._lock = threading.Lock()
        self._pace = Pace(READ_SHARE, LOOK_SECONDS)
        self._stamp: tuple[int, int] | None = None
        self._record = RunRecord()
        self._update()

    def record(self) -> RunRecord:
        """As the file has it, or had it a few seconds ago."""
        with self._lock:
            if self._pace.is_due():
                # If it is being written, or is gone, what was read before stays.
                with contextlib.suppress(PycaffeError, OSError):
                    self._update()
        return self._record

    def _update(self) -> None:
        start = time.perf_counter()
        status = self.path.stat()
        stamp = status.st_mtime_ns, status.st_size
        if stamp != self._stamp:
            version = self._record.version
            record = self._read(self.path)
            record.version = version + 1
            self._record, self._stamp = record, stamp
        self._pace.spent(time.perf_counter() - start)


def runs_of(paths: Sequence[Path]) -> list[ShownRun]:
    """The runs of files and folders.

    Args:
        paths: records of runs, logs, and folders, which stand for the records and logs in them. A log whose
            run has a record in the folder is left out.

    Raises:
        FileLookupError: no such file. DataError: a file holds no run, or there is none in a folder.
    """
    runs: list[FileRun] = []
    for path in paths:
        runs += _runs_in(path) if path.is_dir() else [_run_of(path)]
    stems = [run.path.stem for run in runs]
    for run, stem in zip(runs, stems, strict=True):
        run.name = printable(stem if stems.count(stem) == 1 else str(run.path))
    return list(runs)


def others_in(folder: Path, but: Path) -> list[ShownRun]:
    """The runs in a folder that have records, without one; logs, which may be long, are not read."""
    try:
        names = sorted(path for path in folder.iterdir() if _is_record(path) and path.name != but.name)
    except OSError:
        return []
    return list(_readable(names))


def _run_of(path: Path) -> FileRun:
    try:
        return FileRun(path.stem, path, _read_record if _is_record(path) else read_log)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{path}'") from None
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from None


def _runs_in(folder: Path) -> list[FileRun]:
    found = list(_readable(sorted(path for path in folder.iterdir() if _may_hold_a_run(path))))
    logs = {run.record().log for run in found}
    kept = [run for run in found if run.path.name not in logs]
    if not kept:
        raise DataError(f"no file in folder '{folder}' is the record or the log of a training")
    return kept


def _read_record(path: Path) -> RunRecord:
    """Reads a record; one that says that its run goes on, but has long not been written to, says so."""
    record = read_record(path)
    if record.status.is_live and time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
        record.status.state, record.status.is_live = "not finished", False
    return record


def _is_record(path: Path) -> bool:
    """Whether a file is called as records are; those of earlier runs have a number behind."""
    return [suffix for suffix in path.suffixes if not suffix[1:].isdecimal()][-1:] == [SUFFIX]


def _may_hold_a_run(path: Path) -> bool:
    return _is_record(path) or ".log" in path.suffixes or path.suffix in ("", ".txt")


def _readable(paths: Sequence[Path]) -> Iterator[FileRun]:
    """Those of some files that hold a run."""
    for path in paths:
        if path.is_file():
            with contextlib.suppress(PycaffeError):
                yield _run_of(path)


# ---------------------------------------------------------------------------------------------------- logs


def read_log(path: Path) -> RunRecord:
    """What a log, ours or Caffe's, tells of a run.

    Raises:
        FileLookupError: no such file. DataError: it holds no value of a training run.
    """
    curves = read_curves(path)
    record = RunRecord(status=_status_of(curves))
    for curve in [*distinct(curves.train), *distinct(curves.test)][:MOST_LINES]:
        label = printable(label_of(curve, curves))
        panel: Panel = "loss" if curve.is_loss else "output"
        key = f"{curve.phase} {curve.net} {curve.name} {curve.number}"
        record.lines[key] = Line(label, panel, curve.phase == "test", _course_of(curve))
    if len(curves.lr):
        record.lines["lr"] = Line("learning rate", "rate", False, _course_of(curves.lr))
    record.graph = graph_in_log(path)
    return record


def _course_of(curve: Curve) -> Course:
    values = np.where(np.isfinite(curve.values), curve.values, np.nan)
    return Course.of(Points(curve.iterations.astype(np.float64), values, values, values))


def _status_of(curves: Curves) -> Status:
    everything = [*curves.train, *curves.test, curves.lr]
    status = Status(iteration=max((int(c.iterations[-1]) for c in everything if len(c)), default=0))
    if len(curves.lr):
        status.rate = float(curves.lr.values[-1])
    if curves.train:
        status.loss = float(curves.train[0].values[-1])
    return status

"""The snapshots in a folder: finding the latest, and removing those that a run no longer needs.

Each name is looked at on its own: one that is no file, vanishes or cannot be read does not hide the others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.net import weights
from pycaffe_lite.solver import continuation
from pycaffe_lite.solver.continuation import Continuation, Lineage
from pycaffe_lite.solver.snapshot import check_prefix, mismatch, read_head, read_state, weights_file

log = logging.getLogger(__name__)

_STATE_NAME = re.compile(r"_iter_\d+\.solverstate(\.h5)?")
# A state that does not say when it was written is dated by its file. Files whose times are as close as this
# may have been copied together, in any order.
_COPIED_TOGETHER_SECONDS = 60.0


class Found(NamedTuple):
    """A state file.

    Attributes:
        path: of the file. iter: the iteration.
        time: when it was written, in seconds since 1970. is_told: whether the state itself says so.
        beyond: what it holds beyond Caffe's state; None if it holds nothing more, or that is damaged.
    """

    path: Path
    iter: int
    time: float
    is_told: bool
    beyond: Continuation | None

    @property
    def lineage(self) -> Lineage:
        """Its lineage; an empty one if it has none."""
        return self.beyond.lineage if self.beyond else Lineage()


def find_latest_snapshot(prefix: str) -> Path | None:
    """The state file of the newest complete snapshot whose name begins with `prefix`; None if there is none.

    A snapshot's age is judged by the time that the state itself holds. States of Caffe and of earlier
    versions of pycaffe-lite hold none: then the time of the file counts, and of files made within a minute
    of each other the highest iteration. A snapshot is complete if both its files can be read and belong
    together; others are passed over, with a log line. A line also tells of an older one with a higher
    iteration.

    Raises:
        SnapshotError: the prefix is empty, or holds a NUL byte.
    """
    found = _newest_first(list(_states(prefix)))
    for i, one in enumerate(found):
        problem = _problem_with(one.path)
        if problem is None:
            _say_what_else(one, found[i + 1 :])
            return one.path
        _pass_over(one.path, problem)
    return None


def remove_older(prefix: str, lineage: Lineage, keep: int) -> None:
    """Removes snapshots of a run once there are `keep` complete ones that are newer.

    The run's snapshots are the latest one, the one before it, and so on back. Nothing else is removed: no
    snapshot of another run, none of an attempt that was given up by resuming from an earlier one, and none
    that does not say where it belongs.

    Args:
        prefix: snapshot_prefix. lineage: of the latest snapshot. keep: how many to keep, at least 1.
    """
    by_time = {one.lineage.time: one for one in _states(prefix, quiet=True) if one.lineage.run == lineage.run}
    complete, moment = 0, lineage.time
    while (one := by_time.pop(moment, None)) is not None:
        if complete >= keep:
            _remove(one)
        elif _has_its_weights(one):
            complete += 1
        moment = one.lineage.previous


def _states(prefix: str, *, quiet: bool = False) -> Iterator[Found]:
    """The states with this prefix that can be read, in no particular order."""
    check_prefix(prefix)
    folder, stem = Path(prefix).parent, Path(f"{prefix}.").name[:-1]
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in sorted(names):
        if not (name.startswith(stem) and _STATE_NAME.fullmatch(name[len(stem) :])):
            continue
        path = folder / name
        try:
            state, time = read_head(path), path.stat().st_mtime
        except (PycaffeError, OSError) as problem:
            if not quiet:
                _pass_over(path, str(problem))
            continue
        beyond = None
        if state.resume is not None:
            with contextlib.suppress(SnapshotError):
                beyond = continuation.decode(state.resume)
        told = beyond.lineage.time / 1e9 if beyond is not None else 0.0
        yield Found(path, state.iter, told or time, bool(told), beyond)


def _pass_over(path: Path, problem: str) -> None:
    log.warning("Passing over snapshot '%s': %s", path, problem)


def _newest_first(found: list[Found]) -> list[Found]:
    """The states in the order in which they are to be tried."""
    told = [one for one in found if one.is_told]
    by_file = sorted((one for one in found if not one.is_told), key=lambda one: one.time, reverse=True)
    times = {one.path: one.time for one in told}
    for one, newer in zip(by_file, [None, *by_file], strict=False):
        together = newer is not None and newer.time - one.time <= _COPIED_TOGETHER_SECONDS
        times[one.path] = times[newer.path] if newer is not None and together else one.time
    return sorted(found, key=lambda one: (times[one.path], one.iter), reverse=True)


def _say_what_else(chosen: Found, older: list[Found]) -> None:
    if not chosen.is_told and older:
        log.warning(
            "'%s' does not say when it was written: it is taken for the newest by the time of the file",
            chosen.path,
        )
    highest = max([chosen, *older], key=lambda one: one.iter)
    if highest.iter > chosen.iter:
        log.warning(
            "the newest snapshot is '%s', of iteration %d; '%s' is older, but of iteration %d: "
            "to go on from that one, name it",
            *(chosen.path, chosen.iter, highest.path, highest.iter),
        )


def _problem_with(path: Path) -> str | None:
    """Why a snapshot is not complete; None if it is."""
    try:
        state = read_state(path)
        model = weights_file(state, path)
        weights.read(model)
        return mismatch(model, continuation.decode(state.resume)) if state.resume is not None else None
    except (PycaffeError, OSError) as error:
        return str(error)


def _has_its_weights(one: Found) -> bool:
    """Whether the weights that were written with a state are still beside it; judged by samples."""
    return one.beyond is not None and mismatch(_weights_beside(one.path), one.beyond) is None


def _weights_beside(state: Path) -> Path:
    """The path of the weights that are written with a state."""
    stem, _, ending = state.name.rpartition(".solverstate")
    return state.with_name(f"{stem}.caffemodel{ending}")


def _remove(one: Found) -> None:
    """Removes a state, and its weights if they are still those that were written with it."""
    for file in [one.path, *([_weights_beside(one.path)] if _has_its_weights(one) else [])]:
        try:
            file.unlink(missing_ok=True)
        except OSError as failure:
            log.warning("Cannot remove the earlier snapshot '%s': %s", file, failure.strerror)
            return
    log.info("Removed the earlier snapshot '%s'", one.path)

"""The snapshots that lie in a folder: the latest of them, and those of a run that are no longer needed.

Each name is looked at by itself: what is not a file, or vanishes, or cannot be read, hides no other.
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
# States that do not say when they were written go by the times of their files. Where these are so close to
# each other, the files may have been copied together, in any order.
_COPIED_TOGETHER_SECONDS = 60.0


class Found(NamedTuple):
    """A state file.

    Attributes:
        path: of the file. iter: the iteration.
        time: in seconds since 1970, when it was written. is_told: by the state itself, not by its file.
        beyond: what it holds beyond Caffe's state; None where it holds nothing or that is damaged.
    """

    path: Path
    iter: int
    time: float
    is_told: bool
    beyond: Continuation | None

    @property
    def lineage(self) -> Lineage:
        """Where it belongs, if it says so."""
        return self.beyond.lineage if self.beyond else Lineage()


def find_latest_snapshot(prefix: str) -> Path | None:
    """The state file of the newest complete snapshot that begins with `prefix`; None where there is none.

    The newest by the time that a state itself holds. States of Caffe's and of earlier versions of
    pycaffe-lite hold none: the times of their files count, and of files made within a minute the one of the
    highest iteration. A snapshot is complete when both its files read well and belong together; others are
    passed over, with a log line. Where there is an older one of a higher iteration, a line says so.

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

    Those that the latest one goes back to, each through the one before it, are the run's. Nothing else is
    removed: no other run's, none of an attempt that was given up by resuming an earlier snapshot, none that
    does not say where it belongs.

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
    """The states of all snapshots with this prefix that can be read, in no order."""
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
    """In the order in which to try them."""
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
    """What keeps a snapshot from being complete; None for nothing."""
    try:
        state = read_state(path)
        model = weights_file(state, path)
        weights.read(model)
        return mismatch(model, continuation.decode(state.resume)) if state.resume is not None else None
    except (PycaffeError, OSError) as error:
        return str(error)


def _has_its_weights(one: Found) -> bool:
    """Whether the weights that were written with a state are still beside it, judged by samples."""
    return one.beyond is not None and mismatch(_weights_beside(one.path), one.beyond) is None


def _weights_beside(state: Path) -> Path:
    """The weights file that is written with a state."""
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

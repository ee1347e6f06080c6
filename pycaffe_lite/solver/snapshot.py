"""Snapshots: writing a solver's weights and state to two files, and resuming from them.

The weights are written first and the state last, each whole or not at all: where there is a state, there are
its weights. The state file also holds what a run needs, beyond Caffe's state, to go on exactly (see
`continuation`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import FileLookupError, PycaffeError, SnapshotError, WeightsError
from pycaffe_lite.formats import hdf5, solverstate
from pycaffe_lite.formats.atomic import StrPath, fingerprint_of, reason, temporary_path
from pycaffe_lite.formats.forks import fork_for
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.net import weights
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import continuation
from pycaffe_lite.solver.continuation import Continuation
from pycaffe_lite.solver.ranks import Ranks, check_weights
from pycaffe_lite.solver.rate import NO_LOSS, Progress

if TYPE_CHECKING:
    from pycaffe_lite.solver.base import Solver

log = logging.getLogger(__name__)

# The policies whose place Caffe's own state does not hold.
KEEP_EVENTS = ("plateau", "sgdr")
# How many reasons an error lists.
_MOST_REASONS = 3


# ------------------------------------------------------------------------------------------------ writing


def check_folder(prefix: str, iteration: int) -> None:
    """Finds out before training whether snapshots can be written.

    Raises:
        SnapshotError: no prefix is set, or no file can be made there.
    """
    check_prefix(prefix)
    state = Path(f"{prefix}_iter_{iteration}.solverstate")
    probe = temporary_path(state)
    try:
        with contextlib.suppress(FileNotFoundError):
            state.lstat()  # fails where the name is too long; the probe's may be cut
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as failure:
        raise SnapshotError(
            f"cannot write snapshots with snapshot_prefix '{prefix}': {reason(failure)}; "
            "make the folder, or name another"
        ) from None


def check_net(solver: Solver) -> None:
    """Finds out before training whether the files of snapshots can hold the net.

    Raises:
        SnapshotError: no fork of Caffe has all fields of the net, or not the one for which it is written.
    """
    if solver.param.snapshot_format == caffe_pb2.SolverParameter.HDF5:
        return
    try:
        fork_for(solver.net.to_proto(), solver.fork)
    except WeightsError as error:
        raise SnapshotError(f"cannot write snapshots: {error}") from None


def check_prefix(prefix: str) -> None:
    """Makes sure that the names of files can begin with it.

    Raises:
        SnapshotError: it is empty, or holds a NUL byte.
    """
    if not prefix:
        raise SnapshotError("snapshots need a snapshot_prefix in the solver's settings")
    if "\0" in prefix:
        raise SnapshotError(f"snapshot_prefix '{prefix}' holds a NUL byte, which no file name can")


def write(solver: Solver) -> Path:
    """Writes both files; returns the state's path.

    Of several ranks, the first writes, and its state holds what all of them need.

    Raises:
        SnapshotError: a file cannot be written. Earlier snapshots are untouched.
    """
    p = solver.param
    check_prefix(p.snapshot_prefix)
    check_net(solver)
    ranks: tuple[bytes, ...] = ()
    if solver.ranks is not None:
        check_weights(solver.ranks, solver.net)
        ranks = tuple(solver.ranks.gather(continuation.encode(solver.surroundings()))[1:])
    is_hdf5 = p.snapshot_format == caffe_pb2.SolverParameter.HDF5
    ending, kind = (".h5", "HDF5 file") if is_hdf5 else ("", "binary proto file")
    stem = f"{p.snapshot_prefix}_iter_{solver.iter}"
    model, state = Path(f"{stem}.caffemodel{ending}"), Path(f"{stem}.solverstate{ending}")
    if not solver.writes_snapshots:
        return state
    save = weights.save_hdf5 if is_hdf5 else partial(weights.save, fork=solver.fork)
    log.info("Snapshotting to %s %s", kind, model)
    fingerprint = save(solver.net, model, write_diff=p.snapshot_diff, error=SnapshotError)
    log.info("Snapshotting solver state to %s %s", kind, state)
    lineage = solver.lineage.next(solver.iter)
    beyond = dataclasses.replace(
        solver.surroundings(),
        fingerprint=fingerprint,
        lineage=lineage,
        solver_type=solver.type,
        parts={name: part.state() for name, part in solver.parts().items()},
        ranks=ranks,
    )
    at, keeps_events = solver.progress, p.lr_policy in KEEP_EVENTS
    content = SolverState(
        solver.iter,
        str(model),
        at.current_step,
        tuple(solver.history),
        continuation.encode(beyond),
        at.minimum_loss if keeps_events else None,
        at.last_event if keeps_events else None,
    )
    (hdf5.write_state if is_hdf5 else solverstate.write)(state, content)
    solver.lineage = lineage
    if problem := mismatch(model, beyond):
        log.warning("%s: does another run save with snapshot_prefix '%s'?", problem, p.snapshot_prefix)
    return state


def mismatch(model: Path, beyond: Continuation) -> str | None:
    """What is wrong with the weights file of a state; None if it is right."""
    try:
        if fingerprint_of(model, error=SnapshotError) == beyond.fingerprint:
            return None
    except PycaffeError as error:
        return str(error)
    return f"'{model}' was not written together with its state"


# ------------------------------------------------------------------------------------------------ reading


def read_state(path: StrPath) -> SolverState:
    """Reads a solver state, binary or HDF5; its first bytes tell which.

    Raises:
        FileLookupError: no such file. SnapshotError: it cannot be read.
    """
    return hdf5.read_state(path) if hdf5.is_hdf5(path) else solverstate.read(path)


def read_head(path: StrPath) -> SolverState:
    """Reads a solver state without its history, which is quick."""
    return hdf5.read_state_head(path) if hdf5.is_hdf5(path) else solverstate.read_head(path)


def weights_file(state: SolverState, path: StrPath) -> Path:
    """The file with the state's weights: as named, from the current folder as in Caffe, or beside the state.

    Raises:
        FileLookupError: they are nowhere.
    """
    named = Path(state.learned_net)
    folder = Path(path).parent
    for candidate in (named, folder / named, folder / named.name):
        if os.path.exists(candidate):
            return candidate
    raise FileLookupError(f"no such file: '{named}', the weights of '{path}'")


# ---------------------------------------------------------------------------------------------- restoring


def restore(solver: Solver, path: StrPath, *, exact: bool = False) -> None:
    """Takes a solver back to where a snapshot was taken, as far as nets and settings are still the same.

    As in Caffe, the weights go to the layers of their names and the history to the parameters in their
    order. A state of ours also brings back what Caffe forgets, so that training goes on exactly: the places
    in the data, the random numbers, hidden states, the smoothed loss. What no longer fits, because the net,
    the database or a setting has changed, starts afresh, and a line in the log says what that is. A state
    written by Caffe has none of this: the data start at the first record.

    Args:
        solver: the solver.
        path: of the state.
        exact: refuse to go on if anything would start afresh, or the history is of another solver type.

    Raises:
        FileLookupError: the state or its weights file is missing.
        SnapshotError: the state is damaged or not a state, its history does not fit the solver's type and
            net, or `exact` cannot be had.
        WeightsError: the weights cannot be read, or do not fit the net.
        In each case nothing has changed. (Only what keeps another rank from going on exactly is found out
        when this one has gone back already.)
    """
    ranks = solver.ranks
    if ranks is None or ranks.count == 1:
        _restore_here(solver, path, exact)
        return
    problem: PycaffeError | None = None
    beyond = None
    if ranks.rank == 0:
        try:
            beyond = _restore_here(solver, path, exact)
        except PycaffeError as error:
            problem = error
    if (told := ranks.agree(problem)) is not None:
        raise told
    _follow_first(solver, ranks, ranks.agree(beyond), str(path), exact)


def _follow_first(solver: Solver, ranks: Ranks, beyond: Continuation | None, path: str, exact: bool) -> None:
    """Takes all ranks to where rank 0 is, which has restored a state.

    Args:
        solver: of this rank. ranks: the ranks. beyond: what the state held beyond Caffe's.
        path: of the state, for messages. exact: refuse to go on if anything starts afresh.
    """
    afresh = []
    if ranks.rank and beyond is not None:
        if len(beyond.ranks) + 1 == ranks.count:
            afresh = continuation.restore(continuation.decode(beyond.ranks[ranks.rank - 1]), [solver.net])
        else:
            afresh = continuation.join(beyond, solver.net, ranks.rank)
    for rank, lines in enumerate(ranks.gather(afresh)):
        if exact and lines:
            raise SnapshotError(
                f"'{path}' cannot be resumed exactly: on {ranks.name(rank)}, {_listed(lines)}"
            )
        for line in lines:
            log.warning("%s: %s", ranks.name(rank), line)
    ranks.broadcast([blob.data for blob in solver.net.learnable_params])
    ranks.broadcast(solver.history)
    solver._iter, solver.progress, solver.window, solver.continue_window, parts = ranks.agree(
        (
            solver._iter,
            solver.progress,
            solver.window,
            solver.continue_window,
            {name: part.state() for name, part in solver.parts().items()},
        )
    )
    if ranks.rank:
        for name, part in solver.parts().items():
            part.set_state(parts[name])


def _restore_here(solver: Solver, path: StrPath, exact: bool) -> Continuation | None:
    """As `restore`, on this rank alone; returns what the state held beyond Caffe's."""
    state = read_state(path)
    history = _history_for(solver, state, path)
    beyond, afresh = _beyond(solver, state, exact)
    loading = None
    if state.learned_net:
        model = weights_file(state, path)
        loading = weights.Loading(solver.net, weights.read(model))
        names = loading.outcome.fresh
        afresh += [f"layer '{name}' starts afresh: '{model}' has no weights for it" for name in names]
        if beyond is not None and (problem := mismatch(model, beyond)):
            afresh.append(problem)
    else:
        afresh.append("the weights stay as they are: the state names no weights file")
    if beyond is not None:
        nets = [solver.net, *solver.test_nets]
        before = solver.surroundings()
        afresh += continuation.restore(beyond, nets)
        if exact and afresh:
            continuation.restore(before, nets)
    if exact and afresh:
        raise SnapshotError(f"'{path}' cannot be resumed exactly: {_listed(afresh)}")
    for line in afresh:
        log.warning("%s", line)
    if loading is not None:
        loading.commit()
    solver._iter = state.iter
    solver.progress = Progress(
        state.current_step,
        NO_LOSS if state.minimum_loss is None else state.minimum_loss,
        state.iter_last_event or 0,
    )
    log.info("SGDSolver: restoring history")
    with np.errstate(over="ignore"):  # of float64 values in a float32 net
        for mine, stored in zip(solver.history, history, strict=True):
            mine[...] = stored
    for name, part in solver.parts().items():
        saved = beyond.parts.get(name, b"") if beyond is not None else b""
        part.set_state(saved if part.fits(saved) else b"")
    if beyond is not None:
        if beyond.lineage.run:
            solver.lineage = dataclasses.replace(beyond.lineage, iter=state.iter)
        if beyond.window.size == solver.param.average_loss:
            solver.window = beyond.window
            solver.continue_window = bool(beyond.window.losses)
    return beyond


def _history_for(solver: Solver, state: SolverState, path: StrPath) -> list[Array]:
    if len(state.history) != len(solver.history):
        raise SnapshotError(
            f"'{path}' holds {len(state.history)} history blobs, a solver of type {solver.type} needs "
            f"{len(solver.history)} for this net: it was written for another net or solver type"
        )
    for i, (mine, stored) in enumerate(zip(solver.history, state.history, strict=True)):
        if stored.size != mine.size:
            raise SnapshotError(
                f"'{path}': history blob {i} has shape {stored.shape}, the net's parameter has {mine.shape}"
            )
    return [s.reshape(m.shape) for m, s in zip(solver.history, state.history, strict=True)]


def _beyond(solver: Solver, state: SolverState, exact: bool) -> tuple[Continuation | None, list[str]]:
    """What a state holds beyond Caffe's, if that can be read, and the reasons why it does not fit exactly."""
    rest = "places in the data, random numbers and the smoothed loss start afresh"
    if state.resume is None:
        return None, [f"it is a state as Caffe writes it: {rest}"] if exact else []
    try:
        beyond = continuation.decode(state.resume)
    except SnapshotError as error:
        return None, [f"{rest}: {error}"]
    problems = []
    wrote, go_on = len(beyond.ranks) + 1, solver.ranks.count if solver.ranks else 1
    if wrote != go_on:
        problems.append(
            f"{wrote} ranks wrote it, and {go_on} go on: an iteration has other records, though each comes "
            "once an epoch as before; and crops, mirroring and dropout are drawn anew, but on rank 0"
        )
    if beyond.solver_type not in ("", solver.type):
        problems.append(
            f"the history was written by a solver of type {beyond.solver_type}, "
            f"and this one of type {solver.type} goes on with it as if it were its own"
        )
    problems += [
        f"{name} starts afresh: no state of it that fits the net was saved"
        for name, part in solver.parts().items()
        if not part.fits(beyond.parts.get(name, b""))
    ]
    size = solver.param.average_loss
    if beyond.window.size != size:
        problems.append(
            f"the smoothed loss starts afresh: average_loss was {beyond.window.size}, now it is {size}"
        )
    return beyond, problems


def _listed(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST_REASONS
    return "; ".join([*lines[:_MOST_REASONS], *([f"and {more} more"] if more > 0 else [])])

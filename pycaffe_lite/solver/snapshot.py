"""Snapshots: a solver's weights and state in two files, and going on from them.

The weights are written first, the state last, each whole or not at all: a state that is there has its
weights. What continuing exactly takes beyond Caffe's state travels in the state file (see `continuation`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.io import caffemodel, hdf5, solverstate
from pycaffe_lite.io.files import StrPath, reason
from pycaffe_lite.io.state import SolverState
from pycaffe_lite.net import weights
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import continuation

if TYPE_CHECKING:
    from pycaffe_lite.solver.base import Solver

log = logging.getLogger(__name__)

_STATE_NAME = re.compile(r"_iter_(\d+)\.solverstate(\.h5)?")


def check_folder(prefix: str, iteration: int) -> None:
    """Finds out before training whether snapshots can be written.

    Raises:
        SnapshotError: no prefix is set, or no file can be made there.
    """
    _check_prefix(prefix)
    probe = Path(f"{prefix}_iter_{iteration}.tempfile")
    try:
        probe.touch()
        probe.unlink()
    except OSError as failure:
        raise SnapshotError(
            f"cannot write snapshots with snapshot_prefix '{prefix}': {reason(failure)}; "
            "make the folder, or name another"
        ) from None


def _check_prefix(prefix: str) -> None:
    if not prefix:
        raise SnapshotError("snapshots need a snapshot_prefix in the solver's settings")


def write(solver: Solver) -> Path:
    """Writes both files; returns the state's path.

    Raises:
        SnapshotError: a file cannot be written. Earlier snapshots are untouched.
    """
    p = solver.param
    _check_prefix(p.snapshot_prefix)
    is_hdf5 = p.snapshot_format == caffe_pb2.SolverParameter.HDF5
    ending, kind = (".h5", "HDF5 file") if is_hdf5 else ("", "binary proto file")
    stem = f"{p.snapshot_prefix}_iter_{solver.iter}"
    model, state = Path(f"{stem}.caffemodel{ending}"), Path(f"{stem}.solverstate{ending}")
    save = weights.save_hdf5 if is_hdf5 else weights.save
    log.info("Snapshotting to %s %s", kind, model)
    save(solver.net, model, write_diff=p.snapshot_diff, error=SnapshotError)
    log.info("Snapshotting solver state to %s %s", kind, state)
    beyond = dataclasses.replace(solver.surroundings(), fingerprint=continuation.fingerprint(model))
    content = SolverState(
        solver.iter, str(model), solver.current_step, tuple(solver.history), continuation.encode(beyond)
    )
    (hdf5.write_state if is_hdf5 else solverstate.write)(state, content)
    return state


def read_state(path: StrPath) -> SolverState:
    """Reads a solver state; a name that ends in `.h5` says HDF5, as in Caffe."""
    return hdf5.read_state(path) if os.fspath(path).endswith(".h5") else solverstate.read(path)


def restore(solver: Solver, path: StrPath) -> None:
    """Puts a solver back to where a snapshot was taken.

    A state of ours brings all back, so that training goes on exactly; one of Caffe's brings the weights,
    the iteration and the history, and the data start at the first record.

    Raises:
        FileLookupError: the state or its weights file is missing.
        SnapshotError: the state is damaged, or of another solver type or net; nothing has changed then.
        WeightsError: the weights do not fit the net; nothing has changed then.
    """
    state = read_state(path)
    history = _history_for(solver, state, path)
    beyond = None
    if state.resume is not None:
        with _naming(path):
            beyond = continuation.decode(state.resume, solver.param.average_loss)
            continuation.check(beyond, [solver.net, *solver.test_nets])
    if state.learned_net:
        model = weights_file(state, path)
        if beyond is not None and model.exists() and continuation.fingerprint(model) != beyond.fingerprint:
            log.warning("'%s' was not written together with '%s'", model, path)
        solver.net.copy_from(model)
    solver.iter, solver.current_step = state.iter, state.current_step
    log.info("SGDSolver: restoring history")
    for mine, stored in zip(solver.history, history, strict=True):
        mine[...] = stored
    if beyond is not None:
        with _naming(path):
            continuation.restore(beyond, [solver.net, *solver.test_nets])
        solver.window = beyond.window
        solver.continue_window = bool(beyond.window.losses)


@contextlib.contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    try:
        yield
    except SnapshotError as error:
        raise SnapshotError(f"'{path}': {error}") from None


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


def weights_file(state: SolverState, path: StrPath) -> Path:
    """Where the state's weights are: as named, seen from here as Caffe does, or else beside the state."""
    named = Path(state.learned_net)
    folder = Path(path).parent
    for candidate in (named, folder / named, folder / named.name):
        if candidate.exists():
            return candidate
    return named


def find_latest_snapshot(prefix: str) -> Path | None:
    """The state file of the last complete snapshot that begins with `prefix`; None where there is none.

    A snapshot is complete when both its files read well and belong together; others are passed over, with
    a log line.
    """
    folder, stem = Path(prefix).parent, Path(f"{prefix}.").name[:-1]
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = _STATE_NAME.fullmatch(entry.name[len(stem) :])
            if match and entry.name.startswith(stem):
                found.append((int(match[1]), entry.stat().st_mtime, folder / entry.name))
    for _, _, path in sorted(found, reverse=True):
        problem = _problem_with(path)
        if problem is None:
            return path
        log.warning("Passing over snapshot '%s': %s", path, problem)
    return None


def _problem_with(path: Path) -> str | None:
    """What keeps a snapshot from being complete; None for nothing."""
    try:
        state = read_state(path)
        model = weights_file(state, path)
        hdf5.read_model(model) if hdf5.is_hdf5(model) else caffemodel.read(model)
        if state.resume is not None:
            beyond = continuation.decode(state.resume, 1)
            if beyond.fingerprint != continuation.fingerprint(model):
                return f"'{model}' was not written together with it"
    except (PycaffeError, OSError) as error:
        return str(error)
    return None

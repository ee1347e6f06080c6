"""Solver states in Caffe's binary format, .solverstate: a SolverState message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.io import wire
from pycaffe_lite.io.files import StrPath, atomic_write, read_bytes
from pycaffe_lite.io.model import Array
from pycaffe_lite.io.state import SolverState
from pycaffe_lite.io.wire import LENGTH, VARINT, WireError
from pycaffe_lite.io.wireblob import blob_parts, read_blob, write_part

# Fields of SolverState; the last is ours. Caffe does not know it and passes over it.
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4
RESUME_FIELD = 10_701


def read(path: StrPath) -> SolverState:
    """Reads a .solverstate, Caffe's or ours.

    Raises:
        FileLookupError: the file is not there.
        SnapshotError: it is truncated or no .solverstate; the message names the file and the place.
    """
    data = read_bytes(path, error=SnapshotError)
    try:
        return _parse(wire.view_of(data))
    except WireError as problem:
        raise SnapshotError(f"'{path}' is truncated or no .solverstate: {problem}") from None


def _parse(buffer: wire.Bytes) -> SolverState:
    numbers: dict[int, int] = {}
    learned_net, resume = "", None
    history: list[Array] = []
    for field in wire.fields(buffer, 0, len(buffer)):
        if field.wire_type == VARINT and field.number in (_ITER, _CURRENT_STEP):
            numbers[field.number] = wire.signed(field.value, 32)
        elif field.wire_type == LENGTH and field.number == _LEARNED_NET:
            learned_net = wire.text(buffer, field)
        elif field.wire_type == LENGTH and field.number == _HISTORY:
            try:
                history.append(read_blob(buffer, field.start, field.end).data)
            except WireError as problem:
                where = f"(history blob {len(history)})"
                raise WireError(problem.position, f"{problem.problem} {where}") from None
        elif field.wire_type == LENGTH and field.number == RESUME_FIELD:
            resume = bytes(buffer[field.start : field.end])
    if _ITER not in numbers:
        raise WireError(0, "it does not say the iteration")
    if numbers[_ITER] < 0:
        raise WireError(0, f"iteration {numbers[_ITER]} is impossible")
    return SolverState(
        numbers[_ITER], learned_net, max(numbers.get(_CURRENT_STEP, 0), 0), tuple(history), resume
    )


def write(path: StrPath, state: SolverState, *, error: type[PycaffeError] = SnapshotError) -> None:
    """Writes a .solverstate that Caffe reads too; the file is whole or not there.

    Args:
        path: of the file.
        state: its history goes from memory to the file without a copy.
        error: class of the error raised where the file cannot be written.
    """
    with atomic_write(path, error=error) as file:
        for part in _parts(state):
            write_part(file, part)


def _parts(state: SolverState) -> Iterator[bytes | Array]:
    yield wire.varint_field(_ITER, state.iter)
    yield wire.bytes_field(_LEARNED_NET, state.learned_net.encode("utf-8", "surrogateescape"))
    yield from _history_parts(state.history)
    yield wire.varint_field(_CURRENT_STEP, state.current_step)
    if state.resume is not None:
        yield wire.bytes_field(RESUME_FIELD, state.resume)


def _history_parts(history: Sequence[Array]) -> Iterator[bytes | Array]:
    for values in history:
        yield from blob_parts(_HISTORY, values)

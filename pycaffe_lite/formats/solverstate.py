"""Solver states in Caffe's binary format, .solverstate: a SolverState message."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.formats import kinds, wire
from pycaffe_lite.formats.atomic import StrPath, atomic_write, open_regular, read_bytes, reason
from pycaffe_lite.formats.model import Array
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.formats.wire import FIXED32, LENGTH, VARINT, Field, WireError
from pycaffe_lite.formats.wireblob import blob_parts, read_blob, write_part

# Fields of SolverState; the last is ours. Caffe does not know it and passes over it.
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4
_MINIMUM_LOSS, _ITER_LAST_EVENT = 5, 6  # of SSD's fork and its children
RESUME_FIELD = 10_701
# A limit for damaged files, far beyond any net's number of learnable blobs.
_MOST_FIELDS = 100_000


def read(path: StrPath) -> SolverState:
    """Reads a .solverstate, Caffe's or ours.

    Raises:
        FileLookupError: the file is not there.
        SnapshotError: it is truncated or of another kind; the message names the file, and the place or the
            kind.
    """
    data = read_bytes(path, error=SnapshotError)
    buffer = wire.view_of(data)
    history: list[Array] = []

    def read_history(field: Field) -> None:
        try:
            history.append(read_blob(buffer, field.start, field.end).data)
        except WireError as problem:
            where = f"(history blob {len(history)})"
            raise WireError(problem.position, f"{problem.problem} {where}") from None

    try:
        fields = wire.fields(buffer, 0, len(buffer))
        state = _parse(fields, lambda field: bytes(buffer[field.start : field.end]), read_history)
    except WireError as problem:
        wrong = kinds.wrong_kind(path, data, kinds.STATE)
        raise SnapshotError(wrong or f"'{path}' is truncated or not a .solverstate: {problem}") from None
    if not history and (wrong := kinds.wrong_kind(path, data, kinds.STATE)):
        raise SnapshotError(wrong)
    return replace(state, history=tuple(history))


def read_head(path: StrPath) -> SolverState:
    """As `read`, without the history, which is passed over unread: quick for a state of any size."""
    with open_regular(path, error=SnapshotError) as file:

        def payload(field: Field) -> bytes:
            file.seek(field.start)
            return file.read(field.end - field.start)

        try:
            return _parse(wire.fields_of_file(file, _MOST_FIELDS), payload, lambda field: None)
        except WireError as problem:
            raise SnapshotError(f"'{path}' is truncated or not a .solverstate: {problem}") from None
        except OSError as failure:
            raise SnapshotError(f"cannot read '{path}': {reason(failure)}") from None


def _parse(
    fields: Iterable[Field], payload: Callable[[Field], bytes], read_history: Callable[[Field], None]
) -> SolverState:
    """A state from the fields of its message; `read_history` is given those of the history."""
    numbers: dict[int, int] = {}
    learned_net, resume, minimum_loss = b"", None, None
    for field in fields:
        if field.wire_type == VARINT and field.number in (_ITER, _CURRENT_STEP, _ITER_LAST_EVENT):
            numbers[field.number] = wire.signed(field.value, 32)
        elif field.number == _LEARNED_NET:
            if field.wire_type != LENGTH:
                raise WireError(field.start, "the name of its weights is not a text")
            learned_net = payload(field)
        elif field.wire_type == FIXED32 and field.number == _MINIMUM_LOSS:
            minimum_loss = struct.unpack("<f", payload(field))[0]
        elif field.wire_type == LENGTH and field.number == _HISTORY:
            read_history(field)
        elif field.wire_type == LENGTH and field.number == RESUME_FIELD:
            resume = payload(field)
    if _ITER not in numbers:
        raise WireError(0, "it does not say the iteration")
    if numbers[_ITER] < 0:
        raise WireError(0, f"iteration {numbers[_ITER]} is impossible")
    name = learned_net.decode("utf-8", "surrogateescape")
    step, last_event = max(numbers.get(_CURRENT_STEP, 0), 0), numbers.get(_ITER_LAST_EVENT)
    return SolverState(numbers[_ITER], name, step, (), resume, minimum_loss, last_event)


def write(path: StrPath, state: SolverState, *, error: type[PycaffeError] = SnapshotError) -> None:
    """Writes a .solverstate that Caffe reads too; the file is whole or not there.

    Args:
        path: of the file.
        state: its history goes from memory to the file without a copy.
        error: class of the error raised if the file cannot be written.
    """
    with atomic_write(path, error=error) as file:
        for part in _parts(state):
            write_part(file, part)


def _parts(state: SolverState) -> Iterator[bytes | Array]:
    yield wire.varint_field(_ITER, state.iter)
    yield wire.bytes_field(_LEARNED_NET, state.learned_net.encode("utf-8", "surrogateescape"))
    yield from _history_parts(state.history)
    yield wire.varint_field(_CURRENT_STEP, state.current_step)
    if state.minimum_loss is not None:
        yield wire.tag(_MINIMUM_LOSS, FIXED32) + struct.pack("<f", state.minimum_loss)
    if state.iter_last_event is not None:
        yield wire.varint_field(_ITER_LAST_EVENT, state.iter_last_event)
    if state.resume is not None:
        yield wire.bytes_field(RESUME_FIELD, state.resume)


def _history_parts(history: Sequence[Array]) -> Iterator[bytes | Array]:
    for values in history:
        yield from blob_parts(_HISTORY, values)

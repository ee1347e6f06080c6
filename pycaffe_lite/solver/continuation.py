"""What a run needs, beyond Caffe's solver state, to go on exactly: a block of bytes in a .solverstate.

A message in protocol buffers' wire format, so that later versions can add to it:

    1  version
    2  state of the main random stream
    3  loss window: start; smoothed and then the losses as float64; size (fields 1, 2, 3)
    4  a layer's state: net (0 train, 1 first test net, ...), layer name, bytes, layer type (fields 1 to 4)
    5  fingerprint of the weights file written with it
    6  number of the run, see `Lineage`
    7  when it was written, in nanoseconds since 1970
    8  the same of the run's snapshot before it
    9  solver type
    10 a part of the solver's state: name, bytes (fields 1 and 2)
    11 of several ranks, the state of the next one behind rank 0: a message like this one, its fields 1 to 4

The oldest states have neither fields 6 to 9 nor the types of layers.
"""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.formats import wire
from pycaffe_lite.formats.wire import LENGTH, VARINT, WireError
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.net import Net
from pycaffe_lite.solver.loss_window import LossWindow

VERSION = 1
_VERSION, _RANDOM, _WINDOW, _LAYER, _FINGERPRINT = 1, 2, 3, 4, 5
_RUN, _TIME, _PREVIOUS, _SOLVER_TYPE, _PART, _RANK = 6, 7, 8, 9, 10, 11


@dataclass(frozen=True)
class Lineage:
    """Where a snapshot stands among others.

    Attributes:
        run: a random number, as bytes, that all snapshots of a run have. A resumed run keeps the number of
            the run that it resumes.
        time: when the snapshot was written, in nanoseconds since 1970; 0 if that is not known, or not yet.
        previous: when the run's snapshot before it was written; 0 if there is none.
        iter: the iteration of the snapshot; -1 if there is none yet.
    """

    run: bytes = b""
    time: int = 0
    previous: int = 0
    iter: int = -1

    @classmethod
    def new(cls) -> Lineage:
        """The lineage of a run that has no snapshot yet."""
        return cls(secrets.token_bytes(8))

    def next(self, iteration: int) -> Lineage:
        """The lineage of the run's next snapshot, written now; later than the last, even if the clock is not.

        A snapshot of the same iteration replaces the last one.
        """
        previous = self.previous if iteration == self.iter else self.time
        return Lineage(self.run, max(time.time_ns(), self.time + 1), previous, iteration)


class LayerState(NamedTuple):
    """A layer's state.

    Attributes:
        type: of the layer; empty in the oldest states.
        state: what its `state()` gave.
    """

    type: str
    state: bytes


@dataclass(frozen=True)
class Continuation:
    """The state of everything that surrounds the parameters and their history.

    Attributes:
        random: of the main random stream.
        window: the loss window.
        layers: (net, layer name) → its state.
        fingerprint: of the weights file; see `formats.atomic.fingerprint`.
        lineage: of the snapshot; its iteration stands elsewhere in the state.
        solver_type: the type of the solver that wrote the history; empty in the oldest states.
        parts: the states of what forks' settings add to a solver, by name.
        ranks: of several ranks, the bytes of the states of those behind rank 0, in order.
    """

    random: bytes
    window: LossWindow
    layers: dict[tuple[int, str], LayerState] = field(default_factory=dict)
    fingerprint: bytes = b""
    lineage: Lineage = Lineage()
    solver_type: str = ""
    parts: dict[str, bytes] = field(default_factory=dict)
    ranks: tuple[bytes, ...] = ()


def capture(nets: Sequence[Net], window: LossWindow) -> Continuation:
    """The present state of the random stream and of a solver's nets, train net first."""
    layers = {
        (i, layer.name): LayerState(layer.type, state)
        for i, net in enumerate(nets)
        for layer in net.layers
        if (state := layer.state()) is not None
    }
    return Continuation(random.stream().state(), window, layers)


def restore(saved: Continuation, nets: Sequence[Net]) -> list[str]:
    """Puts the random stream and the layers back to where `capture` found them, as far as that fits.

    Nets and settings may have changed since. What does not fit is left out and starts afresh; layers that
    the state does not know stay as they are.

    Returns:
        What starts afresh or is left out, a sentence for each layer; empty if everything goes on exactly.
    """
    layers = {(i, layer.name): layer for i, net in enumerate(nets) for layer in net.layers}
    afresh = [
        f"{_net_name(i)} is gone: its saved state is not used"
        for i in sorted({i for i, _ in saved.layers if i >= len(nets)})
    ]
    for (i, name), stored in saved.layers.items():
        if i >= len(nets):
            continue
        if (i, name) not in layers:
            afresh.append(f"layer '{name}' of {_net_name(i)} is gone: its saved state is not used")
        elif problem := _restore_layer(layers[i, name], stored):
            afresh.append(f"layer '{name}' ({layers[i, name].type}) of {_net_name(i)}: {problem}")
    afresh += [
        f"layer '{name}' ({layer.type}) of {_net_name(i)} starts afresh: no state of it was saved"
        for (i, name), layer in layers.items()
        if (i, name) not in saved.layers and layer.state() is not None
    ]
    try:
        random.stream_to_set().set_state(saved.random)
    except PycaffeError as error:
        afresh.append(f"random numbers start afresh: {error}")
    return afresh


def join(saved: Continuation, net: Net, rank: int) -> list[str]:
    """Lets the layers of a rank's train net go on from the state of rank 0, among other ranks than then.

    Those that take a share of their records begin so many shares behind rank 0.

    Returns:
        What starts afresh, a sentence for each layer.
    """
    layers = {layer.name: layer for layer in net.layers}
    afresh = []
    for (i, name), stored in saved.layers.items():
        layer = layers.get(name)
        if i or layer is None or stored.type not in ("", layer.type):
            continue
        try:
            problem = layer.join(stored.state, rank)
        except Exception as error:  # as in `_restore_layer`
            problem = f"it starts afresh: {type(error).__name__}: {error}"
        if problem:
            afresh.append(f"layer '{name}' ({layer.type}): {problem}")
    return afresh


def _restore_layer(layer: Layer[Any], saved: LayerState) -> str:
    """Gives a layer its saved state; returns what starts afresh, as `Layer.set_state` does."""
    if saved.type and saved.type != layer.type:
        return f"its saved state is not used: it was of type {saved.type}"
    try:
        return layer.set_state(saved.state) or ""  # a layer in Python may return nothing
    except Exception as error:  # of a layer in Python, whose state may be of anything
        return f"it starts afresh: {type(error).__name__}: {error}"


def _net_name(index: int) -> str:
    return f"test net #{index - 1}" if index else "the train net"


# --------------------------------------------------------------------------------------------- the bytes


def encode(state: Continuation) -> bytes:
    """The bytes of a state."""
    window = state.window
    floats = struct.pack(f"<{1 + len(window.losses)}d", window.smoothed, *window.losses)
    parts = [
        wire.varint_field(_VERSION, VERSION),
        wire.bytes_field(_RANDOM, state.random),
        wire.bytes_field(
            _WINDOW,
            wire.varint_field(1, window.start)
            + wire.bytes_field(2, floats)
            + wire.varint_field(3, window.size),
        ),
        wire.bytes_field(_FINGERPRINT, state.fingerprint),
        wire.bytes_field(_RUN, state.lineage.run),
        wire.varint_field(_TIME, state.lineage.time),
        wire.varint_field(_PREVIOUS, state.lineage.previous),
        wire.bytes_field(_SOLVER_TYPE, state.solver_type.encode()),
    ]
    for (net, name), layer in state.layers.items():
        inside = wire.varint_field(1, net) + wire.bytes_field(2, name.encode())
        inside += wire.bytes_field(3, layer.state) + wire.bytes_field(4, layer.type.encode())
        parts.append(wire.bytes_field(_LAYER, inside))
    parts += [wire.bytes_field(_RANK, rank) for rank in state.ranks]
    for name, part in state.parts.items():
        parts.append(wire.bytes_field(_PART, wire.bytes_field(1, name.encode()) + wire.bytes_field(2, part)))
    return b"".join(parts)


def decode(data: bytes) -> Continuation:
    """The state whose bytes `encode` made.

    Raises:
        SnapshotError: the bytes are damaged or of a later version.
    """
    try:
        return _decode(wire.view_of(data))
    except WireError as problem:
        raise SnapshotError(f"its state for going on exactly is damaged: {problem}") from None


def _decode(buffer: wire.Bytes) -> Continuation:
    payloads = {_RANDOM: b"", _FINGERPRINT: b"", _RUN: b"", _SOLVER_TYPE: b""}
    numbers = {_VERSION: 0, _TIME: 0, _PREVIOUS: 0}
    window = LossWindow(0)
    layers: dict[tuple[int, str], LayerState] = {}
    parts: dict[str, bytes] = {}
    ranks: list[bytes] = []
    for f in wire.fields(buffer, 0, len(buffer)):
        if f.number in numbers and f.wire_type == VARINT:
            numbers[f.number] = f.value
        elif f.number in payloads and f.wire_type == LENGTH:
            payloads[f.number] = bytes(buffer[f.start : f.end])
        elif f.number == _WINDOW and f.wire_type == LENGTH:
            _decode_window(buffer, f, window)
        elif f.number == _LAYER and f.wire_type == LENGTH:
            _decode_layer(buffer, f, layers)
        elif f.number == _PART and f.wire_type == LENGTH:
            _decode_part(buffer, f, parts)
        elif f.number == _RANK and f.wire_type == LENGTH:
            ranks.append(bytes(buffer[f.start : f.end]))
    version = numbers[_VERSION]
    if version != VERSION:
        raise SnapshotError(
            f"its state for going on exactly has version {version}, this program knows {VERSION}"
        )
    return Continuation(
        payloads[_RANDOM],
        window,
        layers,
        payloads[_FINGERPRINT],
        Lineage(payloads[_RUN], numbers[_TIME], numbers[_PREVIOUS]),
        payloads[_SOLVER_TYPE].decode("utf-8", "replace"),
        parts,
        tuple(ranks),
    )


def _decode_window(buffer: wire.Bytes, inside: wire.Field, window: LossWindow) -> None:
    start, size = 0, 0
    floats: Array = np.empty(0)
    for f in wire.fields(buffer, inside.start, inside.end):
        if f.number == 1 and f.wire_type == VARINT:
            start = f.value
        elif f.number == 2 and f.wire_type == LENGTH:
            floats = wire.read_floats(buffer, f.start, f.end, f, np.dtype("<f8"))[0]
        elif f.number == 3 and f.wire_type == VARINT:
            size = f.value
    if 1 <= len(floats) <= 1 + size:
        window.size = size
        window.start, window.losses = start, floats[1:].tolist()  # floats[0], the mean, follows from them


def _decode_part(buffer: wire.Bytes, inside: wire.Field, parts: dict[str, bytes]) -> None:
    name, state = "", b""
    for f in wire.fields(buffer, inside.start, inside.end):
        if f.number == 1 and f.wire_type == LENGTH:
            name = wire.text(buffer, f)
        elif f.number == 2 and f.wire_type == LENGTH:
            state = bytes(buffer[f.start : f.end])
    parts[name] = state


def _decode_layer(buffer: wire.Bytes, inside: wire.Field, layers: dict[tuple[int, str], LayerState]) -> None:
    net, name, type_, state = 0, "", "", b""
    for f in wire.fields(buffer, inside.start, inside.end):
        if f.number == 1 and f.wire_type == VARINT:
            net = f.value
        elif f.number == 2 and f.wire_type == LENGTH:
            name = wire.text(buffer, f)
        elif f.number == 3 and f.wire_type == LENGTH:
            state = bytes(buffer[f.start : f.end])
        elif f.number == 4 and f.wire_type == LENGTH:
            type_ = wire.text(buffer, f)
    layers[net, name] = LayerState(type_, state)

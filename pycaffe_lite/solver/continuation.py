"""What continuing exactly takes beyond Caffe's solver state: one block of bytes inside a .solverstate.

A message in protocol buffers' wire format, so that later versions can add to it:

    1  version
    2  state of the main random stream
    3  loss window: start; smoothed and then the losses as float64; size (fields 1, 2, 3)
    4  a layer's state: net (0 train, 1 first test net, ...), layer name, bytes (fields 1, 2, 3)
    5  fingerprint of the weights file written with it
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Array
from pycaffe_lite.errors import PycaffeError, SnapshotError
from pycaffe_lite.io import wire
from pycaffe_lite.io.wire import LENGTH, VARINT, WireError
from pycaffe_lite.net.net import Net
from pycaffe_lite.solver.loss_window import LossWindow

VERSION = 1
_VERSION, _RANDOM, _WINDOW, _LAYER, _FINGERPRINT = 1, 2, 3, 4, 5

_SAMPLES, _SAMPLE_BYTES = 64, 1024


@dataclass(frozen=True)
class Continuation:
    """The state of everything around the parameters.

    Attributes:
        random: of the main random stream.
        window: the loss window.
        layers: (net, layer name) → what the layer's `state()` gave.
        fingerprint: of the weights file; see `fingerprint`.
    """

    random: bytes
    window: LossWindow
    layers: dict[tuple[int, str], bytes] = field(default_factory=dict)
    fingerprint: bytes = b""


def capture(nets: Sequence[Net], window: LossWindow) -> Continuation:
    """Takes the state of the random stream and of a solver's nets, train net first, as it is now."""
    layers = {
        (i, layer.name): state
        for i, net in enumerate(nets)
        for layer in net.layers
        if (state := layer.state()) is not None
    }
    return Continuation(random.stream().state(), window, layers)


def check(state: Continuation, nets: Sequence[Net]) -> None:
    """Makes sure that the nets have the layers that the state speaks of.

    Raises:
        SnapshotError: one is not there.
    """
    names = [{layer.name for layer in net.layers} for net in nets]
    for i, name in state.layers:
        if i >= len(nets) or name not in names[i]:
            which = f"test net #{i - 1}" if i else "train net"
            raise SnapshotError(f"it holds the state of layer '{name}', which the {which} lacks")


def restore(state: Continuation, nets: Sequence[Net]) -> None:
    """Puts the random stream and the layers back to where `capture` found them.

    Raises:
        SnapshotError: a layer cannot go on from its state: it has other settings, or the state is damaged.
    """
    layers = {(i, layer.name): layer for i, net in enumerate(nets) for layer in net.layers}
    try:
        for place, layer_state in state.layers.items():
            layers[place].set_state(layer_state)
        random.stream_to_set().set_state(state.random)
    except PycaffeError as error:
        raise SnapshotError(str(error)) from None


def fingerprint(path: Path) -> bytes:
    """A short check of a weights file: its size and a sample of its bytes from all over.

    It tells the files of two runs, or of two moments of a run, from each other without reading them whole.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        crc = zlib.crc32(b"")
        for i in range(_SAMPLES):
            file.seek(i * max(size - _SAMPLE_BYTES, 0) // (_SAMPLES - 1))
            crc = zlib.crc32(file.read(_SAMPLE_BYTES), crc)
    return struct.pack("<QI", size, crc)


# --------------------------------------------------------------------------------------------- the bytes


def encode(state: Continuation) -> bytes:
    """The state as bytes."""
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
    ]
    for (net, name), layer in state.layers.items():
        inside = wire.varint_field(1, net) + wire.bytes_field(2, name.encode()) + wire.bytes_field(3, layer)
        parts.append(wire.bytes_field(_LAYER, inside))
    return b"".join(parts)


def decode(data: bytes, average_loss: int) -> Continuation:
    """The state that `encode` made bytes of.

    Args:
        data: the bytes.
        average_loss: the window's size in the settings at hand; a window of another size starts afresh.

    Raises:
        SnapshotError: the bytes are damaged or of a later version.
    """
    try:
        return _decode(wire.view_of(data), average_loss)
    except WireError as problem:
        raise SnapshotError(f"its state for going on exactly is damaged: {problem}") from None


def _decode(buffer: wire.Bytes, average_loss: int) -> Continuation:
    version, stream, print_ = 0, b"", b""
    window = LossWindow(average_loss)
    layers: dict[tuple[int, str], bytes] = {}
    for f in wire.fields(buffer, 0, len(buffer)):
        payload = bytes(buffer[f.start : f.end])
        if f.number == _VERSION and f.wire_type == VARINT:
            version = f.value
        elif f.number == _RANDOM and f.wire_type == LENGTH:
            stream = payload
        elif f.number == _FINGERPRINT and f.wire_type == LENGTH:
            print_ = payload
        elif f.number == _WINDOW and f.wire_type == LENGTH:
            _decode_window(buffer, f, window)
        elif f.number == _LAYER and f.wire_type == LENGTH:
            _decode_layer(buffer, f, layers)
    if version != VERSION:
        raise SnapshotError(
            f"its state for going on exactly has version {version}, this program knows {VERSION}"
        )
    return Continuation(stream, window, layers, print_)


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
    if size == window.size and 1 <= len(floats) <= 1 + size:
        window.start, window.losses = start, floats[1:].tolist()  # floats[0], the mean, follows from them


def _decode_layer(buffer: wire.Bytes, inside: wire.Field, layers: dict[tuple[int, str], bytes]) -> None:
    net, name, state = 0, "", b""
    for f in wire.fields(buffer, inside.start, inside.end):
        if f.number == 1 and f.wire_type == VARINT:
            net = f.value
        elif f.number == 2 and f.wire_type == LENGTH:
            name = wire.text(buffer, f)
        elif f.number == 3 and f.wire_type == LENGTH:
            state = bytes(buffer[f.start : f.end])
    layers[net, name] = state

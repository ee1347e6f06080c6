"""Binary messages in the numbers that forks of Caffe gave their fields.

Our schema has one number for each field (proto/forks.proto); the forks have several for many, and most
numbers mean something else in another fork. So the layers of a file are read with the numbers of one fork,
which their types tell; and a net is written with the numbers of one fork that has all of its fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats import wire
from pycaffe_lite.formats.wire import LENGTH
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.forks import FORKS, is_fork_field, numbers_of, params_of_type

_LAYER = caffe_pb2.LayerParameter.DESCRIPTOR
_CURE = "save the weights as HDF5 (in a solver, snapshot_format: HDF5)"
_NET_LAYER = 100  # the number of NetParameter.layer


class _Field(NamedTuple):
    """What becomes of a field: its new number, and the type of a message in it that has fields of forks."""

    number: int
    message: Descriptor | None


# By the number that a field has, for one type of message.
_Numbers = Mapping[int, _Field]


def fork_of(layers: Iterable[tuple[str, bytes]]) -> str | None:
    """The fork whose numbers make most sense of a file's layers; None where they have nothing of a fork.

    Args:
        layers: of each its type and its message.
    """
    votes: Counter[str] = Counter()
    for layer_type, message in layers:
        votes.update(_forks_that_fit(layer_type, message))
    most = max(votes.values(), default=0)
    return next((fork for fork in FORKS if most and votes[fork] == most), None)


def _forks_that_fit(layer_type: str, message: bytes) -> set[str]:
    """The forks in which the message has parameters that the layer's type reads."""
    buffer = wire.view_of(message)
    numbers = {field.number for field in wire.fields(buffer, 0, len(buffer)) if field.wire_type == LENGTH}
    return {
        fork
        for name in params_of_type(layer_type)
        for fork, number in numbers_of(_LAYER.name, name).items()
        if number in numbers
    }


class BinaryNet(NamedTuple):
    """A net that was read from its binary form, and the fork whose numbers that has; None: Caffe's."""

    message: caffe_pb2.NetParameter
    fork: str | None


def read_net(content: bytes) -> BinaryNet:
    """Reads a net in its binary form with the numbers of the fork that its layers tell.

    Fields that neither Caffe nor the fork has are kept as they are.

    Raises:
        DecodeError, WireError: it is no net.
    """
    buffer = wire.view_of(content)
    layers = [
        content[field.start : field.end]
        for field in wire.fields(buffer, 0, len(buffer))
        if field.number == _NET_LAYER and field.wire_type == LENGTH
    ]
    fork = fork_of((caffe_pb2.LayerParameter.FromString(layer).type, layer) for layer in layers)
    kind = _type(caffe_pb2.NetParameter)
    ours = _renumbered(content, kind, partial(_from_fork, fork), keep=True) if fork else content
    return BinaryNet(caffe_pb2.NetParameter.FromString(ours), fork)


def write_net(net: BinaryNet) -> bytes:
    """The binary form of a net, in the numbers of its fork."""
    content = net.message.SerializeToString()
    if net.fork is None:
        return content
    return _renumbered(content, _type(caffe_pb2.NetParameter), partial(_to_fork, net.fork), keep=True)


def to_ours(message: bytes, kind: type[Message], fork: str | None) -> bytes:
    """A message with our numbers in place of a fork's.

    What neither Caffe nor the fork has is left out. Where no fork is known, all fields of forks are: their
    numbers may mean anything.

    Args:
        message: in the wire format. kind: its type. fork: whose numbers it has.
    """
    return _renumbered(message, _type(kind), partial(_from_fork, fork))


def to_fork(message: bytes, kind: type[Message], fork: str) -> bytes:
    """A message with a fork's numbers in place of ours.

    Args:
        message: in the wire format. kind: its type. fork: one of those that `forks_with` gives for it.
    """
    return _renumbered(message, _type(kind), partial(_to_fork, fork))


def _type(kind: type[Message]) -> Descriptor:
    descriptor: Descriptor = kind.DESCRIPTOR  # type: ignore[assignment]
    return descriptor


def _renumbered(
    message: bytes, kind: Descriptor, numbers_for: Callable[[Descriptor], _Numbers], *, keep: bool = False
) -> bytes:
    """A message with other numbers; keep: whether fields that have none keep theirs, or are left out."""
    buffer = wire.view_of(message)
    numbers = numbers_for(kind)
    parts: list[bytes] = []
    for field in wire.fields(buffer, 0, len(buffer)):
        new = numbers.get(field.number)
        if new is None and not keep:
            continue
        new = new or _Field(field.number, None)
        payload = bytes(buffer[field.start : field.end])
        if field.wire_type == LENGTH:
            if new.message is not None:
                payload = _renumbered(payload, new.message, numbers_for, keep=keep)
            payload = wire.varint(len(payload)) + payload
        parts += [wire.tag(new.number, field.wire_type), payload]
    return b"".join(parts)


@cache
def _from_fork(fork: str | None, kind: Descriptor) -> _Numbers:
    """Our numbers by those of a fork."""
    own = {field.number: _ours(field) for field in kind.fields if not is_fork_field(kind.name, field.name)}
    theirs = {
        number: _ours(field)
        for field in kind.fields
        for its_fork, number in numbers_of(kind.name, field.name).items()
        if its_fork == fork
    }
    return own | theirs


@cache
def _to_fork(fork: str, kind: Descriptor) -> _Numbers:
    """A fork's numbers by ours."""
    return {
        field.number: _ours(field)._replace(number=numbers_of(kind.name, field.name).get(fork, field.number))
        for field in kind.fields
    }


def _ours(field: FieldDescriptor) -> _Field:
    kind = field.message_type
    return _Field(field.number, kind if kind is not None and _concerns_forks(kind) else None)


@cache
def _concerns_forks(kind: Descriptor) -> bool:
    """Whether a message, or one within it, has fields of forks; blobs, which are large, have none."""
    seen, left = {kind}, [kind]
    while left:
        message = left.pop()
        if any(is_fork_field(message.name, field.name) for field in message.fields):
            return True
        inner = {field.message_type for field in message.fields if field.message_type} - seen
        seen |= inner
        left.extend(inner)
    return False


def forks_with(message: Message) -> list[str]:
    """The forks that have all fields of a message that only forks have; all of them where it has none."""
    names = dict.fromkeys(_fork_fields(message))
    return [fork for fork in FORKS if all(fork in numbers_of(*name) for name in names)]


def _fork_fields(message: Message) -> Iterator[tuple[str, str]]:
    """The fields of a message that only forks have, each as the name of its message and its own."""
    kind = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if is_fork_field(kind, field.name):
            yield kind, field.name
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from _fork_fields(part)


def fork_for(net: caffe_pb2.NetParameter, wanted: str | None) -> str | None:
    """The fork whose numbers a net is written with; None where it has no field of any fork.

    Args:
        net: the net. wanted: the fork that was asked for; None: the first that has all of the net's fields.

    Raises:
        WeightsError: there is no such fork, or it lacks a field; the message names the layer.
    """
    if wanted is not None and wanted not in FORKS:
        raise WeightsError(f"unknown fork '{wanted}' (known: {', '.join(FORKS)})")
    if not any(True for _ in _fork_fields(net)):
        return None
    if wanted is None:
        fits = forks_with(net)
        if fits:
            return fits[0]
        raise WeightsError(_why_no_fork(net))
    for layer in net.layer:
        for message, name in _fork_fields(layer):
            if wanted not in numbers_of(message, name):
                have = ", ".join(sorted(numbers_of(message, name), key=str.lower))
                raise WeightsError(
                    f"layer '{layer.name}' ({layer.type}): {wanted}'s Caffe has no '{name}' in {message}, so "
                    f"this net cannot be written for it; these have: {have}"
                )
    return wanted


def _why_no_fork(net: caffe_pb2.NetParameter) -> str:
    """Says which two layers no fork has both."""
    left, seen = set(FORKS), ""
    for layer in net.layer:
        fits = set(forks_with(layer))
        if not left & fits:
            return (
                f"no fork of Caffe has the fields of both layer '{layer.name}' ({layer.type}) and {seen}, "
                f"and one number means different things in different forks: {_CURE}"
            )
        if fits != set(FORKS):
            seen = f"layer '{layer.name}' ({layer.type})"
        left &= fits
    return f"no fork of Caffe has all fields of this net: {_CURE}"

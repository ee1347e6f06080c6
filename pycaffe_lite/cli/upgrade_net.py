"""`pycaffe-lite upgrade-net`: a net of an older format in today's."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click
from google.protobuf.message import DecodeError, Message

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo, start_log
from pycaffe_lite.errors import PrototxtError, PycaffeError
from pycaffe_lite.formats import forks
from pycaffe_lite.formats.atomic import atomic_write, read_bytes
from pycaffe_lite.formats.wire import WireError
from pycaffe_lite.proto import caffe_pb2, prototxt, upgrade
from pycaffe_lite.proto.text_writer import TextWriter

log = logging.getLogger(__name__)

T = TypeVar("T")
# The exit statuses are those of Caffe's own programs.
INCOMPLETE = 1
# Characters that no text has, and each binary message has near its start.
CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r")
LOOK = 65536
STDOUT = ("-", "/dev/stdout", "/dev/fd/1")


class Unreadable(click.ClickException):
    """An old file that cannot be read."""

    exit_code = 2


@click.command("upgrade-net", cls=CaffeCommand)
@click.argument("old", metavar="IN")
@click.argument("new", metavar="OUT")
@click.pass_context
def command(ctx: click.Context, old: str, new: str) -> None:
    """Upgrades a net from an older format.

    IN is a prototxt or a .caffemodel of any age; OUT is written in the same form, whole or not at all, or to
    stdout if it is "-". Comments are lost. The exit status is 1 if something of IN could not be kept,
    which the log says, and 2 if IN cannot be read.
    """
    start_log()
    try:
        net = read_binary(old, caffe_pb2.NetParameter, forks.read_net)
        if net is None:
            document = prototxt.read_net(old)
            complete = write_text(new, document) and document.complete
        else:
            complete = upgrade.upgrade_net(net.message, old)
            write(new, forks.write_net(net))
    except PrototxtError as error:
        raise Unreadable(str(error)) from None
    if not complete:
        ctx.exit(INCOMPLETE)


def read_binary(path: str, kind: type[Message], read: Callable[[bytes], T]) -> T | None:
    """What a file holds in binary form; None if the file is a text.

    Args:
        path: of the file. kind: of the message in it. read: makes something of its bytes.

    Raises:
        PycaffeError: the file cannot be read. PrototxtError: it holds no such message.
    """
    content = read_bytes(path, error=PycaffeError)
    if not CONTROL.intersection(content[:LOOK].tobytes()):
        return None
    try:
        return read(content.tobytes())
    except (DecodeError, WireError):
        raise PrototxtError(f"{path}: this is neither a text nor a binary {kind.DESCRIPTOR.name}") from None


def write_text(path: str, document: prototxt.Document[Any]) -> bool:
    """Writes a message as text; whether there was a place for each field that the schema does not know."""
    writer = TextWriter(document.message, document.unknown)
    write(path, writer.write().encode())
    for field in writer.unplaced:
        log.warning("%s:%d: unknown field '%s' is lost", document.path, field.line, field.name)
    return not writer.unplaced


def write(path: str, content: bytes) -> None:
    """Writes a file, whole or not at all, and says so; or to stdout."""
    if path in STDOUT:
        sys.stdout.buffer.write(content)
        return
    with atomic_write(path) as file:
        file.write(content)
    echo(f"wrote {path}")

"""Reading nets and solvers from prototxt files.

The reader keeps the fields that Caffe's schema does not know, of which most public nets have some, in the
document. It logs those that nobody knows, and those of forks that change no result. Those that change a
result are refused when a net or solver is built (proto/fork_fields.py).
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from pycaffe_lite import glog
from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.proto import caffe_pb2, upgrade
from pycaffe_lite.proto.paths import read_regular
from pycaffe_lite.proto.text_fields import fields_of
from pycaffe_lite.proto.text_parser import FieldPath, Remark, TextParser, UnknownField
from pycaffe_lite.proto.text_tokens import Source

__all__ = ["Document", "FieldPath", "UnknownField", "parse", "read_net", "read_solver", "text_of"]

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)
P = TypeVar("P", bound=Message)
StrPath = str | os.PathLike[str]

# Bytes. The largest nets that people have written take a few million.
LARGEST = 2**26


@dataclass(frozen=True)
class Document(Generic[M]):
    """A message and the text that it was read from.

    Attributes:
        message: what was read. path: of the file; None for a text.
        unknown: the fields that the schema does not know, in their order.
        lines: the line of each field of the message that stands in the text; the first is 1.
        complete: whether an upgrade could keep all of it; what could not be kept is in the log.
    """

    message: M
    path: Path | None = None
    unknown: tuple[UnknownField, ...] = ()
    lines: Mapping[FieldPath, int] = dataclasses.field(default_factory=dict, repr=False)
    complete: bool = True

    def line_of(self, path: Sequence[str | int]) -> int | None:
        """The line where a field starts; None if the text does not have it.

        Args:
            path: names, with the index behind that of a repeated field: ("layer", 3), or
                ("layer", 3, "convolution_param", "kernel_size", 0).
        """
        return self.lines.get(tuple(path))

    def where(self, path: Sequence[str | int]) -> str:
        """The place of a field, `net.prototxt:12: `; empty if it is not known."""
        line = self.line_of(path)
        return f"{self.path}:{line}: " if self.path and line else ""

    def part(self, path: FieldPath, message: P) -> Document[P]:
        """A message inside this one as a document of its own, of the same file.

        Args:
            path: to where it stands. message: the same, or a copy.
        """
        length = len(path)
        unknown = [
            dataclasses.replace(field, path=field.path[length:])
            for field in self.unknown
            if field.path[:length] == path
        ]
        lines = {where[length:]: line for where, line in self.lines.items() if where[:length] == path}
        return Document(message, self.path, tuple(unknown), lines)


def read_net(path: StrPath, *, strict: bool = False) -> Document[caffe_pb2.NetParameter]:
    """Reads a net and upgrades what is of an older format, each step with a line in the log.

    Args:
        path: the file. strict: refuse what Caffe's own reader refuses: every unknown field.

    Returns:
        The net; `line_of(("layer", i))` and the paths of unknown fields speak of the upgraded net.

    Raises:
        FileLookupError: there is no such file. PrototxtError: it cannot be read.
    """
    source = Source(_read(path), str(path))
    net = caffe_pb2.NetParameter()
    parser = TextParser(source, net, strict=strict)
    _refuse_the_other_kind(parser, caffe_pb2.SolverParameter, "this is a solver, a net is expected here")
    parser.parse()
    _say(parser.remarks, source)
    try:
        return _upgraded(_document(net, parser, Path(path)))
    except upgrade.UpgradeError as error:
        raise source.error(parser.offsets[error.path], error.what) from None


def upgrade_part(document: Document[caffe_pb2.NetParameter]) -> Document[caffe_pb2.NetParameter]:
    """Upgrades a net that stands inside another message, in place; as `read_net` does with a file.

    Raises:
        PrototxtError: it makes no sense in its own format.
    """
    try:
        return _upgraded(document)
    except upgrade.UpgradeError as error:
        raise PrototxtError(f"{document.where(error.path)}{error.what}") from None


def _upgraded(document: Document[caffe_pb2.NetParameter]) -> Document[caffe_pb2.NetParameter]:
    upgraded = upgrade.upgrade_net_traced(document.message, str(document.path or "net"))
    return dataclasses.replace(_moved(document, upgraded.origins), complete=upgraded.complete)


def read_solver(path: StrPath, *, strict: bool = False) -> Document[caffe_pb2.SolverParameter]:
    """Reads a solver, upgrades what is of an older format and completes its snapshot_prefix.

    Args:
        path: the file. strict: refuse what Caffe's own reader refuses: every unknown field.

    Raises:
        FileLookupError: there is no such file. PrototxtError: it cannot be read.
    """
    document = read_written_solver(path, strict=strict)
    upgrade.complete_snapshot_prefix(document.message, path)
    return document


def read_written_solver(path: StrPath, *, strict: bool = False) -> Document[caffe_pb2.SolverParameter]:
    """Reads a solver as `read_solver` does, but leaves its snapshot_prefix as it is in the file.

    Args:
        path: the file. strict: refuse what Caffe's own reader refuses: every unknown field.

    Raises:
        FileLookupError: there is no such file. PrototxtError: it cannot be read.
    """
    source = Source(_read(path), str(path))
    solver = caffe_pb2.SolverParameter()
    parser = TextParser(source, solver, strict=strict)
    _refuse_the_other_kind(parser, caffe_pb2.NetParameter, "this is a net, a solver is expected here")
    parser.parse()
    _say(parser.remarks, source)
    try:
        upgrade.upgrade_solver(solver, source.name)
    except upgrade.UpgradeError as error:
        raise source.error(parser.offsets[error.path], error.what) from None
    return _document(solver, parser, Path(path))


def parse(text: str, message_class: type[M], *, name: str = "<text>", strict: bool = False) -> Document[M]:
    """Reads a message from text as it stands there, without upgrades.

    Args:
        text: in protobuf's text format. message_class: one of caffe_pb2's.
        name: of the text, in errors and in the log.
        strict: refuse what Caffe's own reader refuses: every unknown field.

    Raises:
        PrototxtError: the text cannot be read.
    """
    source = Source(text, name)
    message = message_class()
    parser = TextParser(source, message, strict=strict)
    parser.parse()
    _say(parser.remarks, source)
    return _document(message, parser, None)


def text_of(message: Message) -> str:
    """A message as text that the readers read: as Caffe's log shows it, whole numbers without a fraction."""
    text = text_format.MessageToString(message)
    return re.sub(r"(?m)^( *\w+: -?\d+)\.0$", r"\1", text).removesuffix("\n")


def _read(path: StrPath) -> str:
    """The text of a file; bytes that are not UTF-8 (in comments, say) become lone surrogates."""
    glog.open_log()  # reading may log something
    data = read_regular(path, LARGEST, "a prototxt", pipes=True)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise PrototxtError(f"{path}: this is UTF-16 text, save it as UTF-8")
    if b"\0" in data:
        raise PrototxtError(f"{path}: this is a binary file, a prototxt is expected here")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _refuse_the_other_kind(parser: TextParser, other: type[Message], hint: str) -> None:
    """Raises an error if a solver's file is read as a net's, or the reverse."""
    own = fields_of(parser.message.DESCRIPTOR).by_name
    others = fields_of(other.DESCRIPTOR).by_name
    names = list(parser.top_level_names())
    strange = [token for token in names if token.text in others and token.text not in own]
    if strange and not any(token.text in own and token.text not in others for token in names):
        raise parser.source.error(strange[0].start, f"unexpected '{strange[0].text}': {hint}")


def _say(remarks: Sequence[Remark], source: Source) -> None:
    """Logs each remark once, with its first line and the number of places that it holds for."""
    offsets: dict[tuple[int, str], list[int]] = {}
    for remark in remarks:
        offsets.setdefault((remark.level, remark.what), []).append(remark.offset)
    for (level, what), places in offsets.items():
        times = f" ({len(places)} times)" if len(places) > 1 else ""
        log.log(level, "%s:%d: %s%s", source.name, source.line(places[0]), what, times)


def _document(message: M, parser: TextParser, path: Path | None) -> Document[M]:
    lines = {where: parser.source.line(offset) for where, offset in parser.offsets.items()}
    return Document(message, path, tuple(parser.unknown), lines)


def _moved(
    document: Document[caffe_pb2.NetParameter], origins: Sequence[FieldPath]
) -> Document[caffe_pb2.NetParameter]:
    """The document of an upgraded net: its paths lead to where the layers stand now.

    Args:
        document: of the net as it was read. origins: of each layer, what it was made from.
    """
    now = {origin: ("layer", i) for i, origin in enumerate(origins)}
    if all(origin == place for origin, place in now.items()):
        return document

    def moved(path: FieldPath) -> FieldPath:
        place = now.get(path[:2])
        if place is None:
            return path
        inside = path[3:] if path[0] == "layers" and path[2:3] == ("layer",) else path[2:]
        if path[0] == "layers" and inside:
            kind = document.message.layer[place[1]].type
            inside = (upgrade.param_of_today(kind, inside[0]), *inside[1:])
        return (*place, *inside)

    lines: dict[FieldPath, int] = {}
    for path, line in document.lines.items():
        lines.setdefault(moved(path), line)
    unknown = tuple(dataclasses.replace(field, path=moved(field.path)) for field in document.unknown)
    return dataclasses.replace(document, lines=lines, unknown=unknown)

"""Writing protobuf's text format, with the fields that the schema does not know."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable

from google.protobuf import text_format
from google.protobuf.message import Message

from pycaffe_lite.proto.text_fields import fields_of
from pycaffe_lite.proto.text_parser import FieldPath, UnknownField

_INDENT = "  "


class TextWriter:
    """Writes one message as text.

    Args:
        message: what to write.
        unknown: fields that its schema does not know. Each stands behind the known ones of the message
            that its path names, as it was read.

    Attributes:
        unplaced: those of them whose message is not there.
    """

    def __init__(self, message: Message, unknown: Iterable[UnknownField] = ()) -> None:
        self._message = message
        self._out = io.StringIO()
        self._unknown: dict[FieldPath, list[UnknownField]] = {}
        for field in unknown:
            self._unknown.setdefault(field.path, []).append(field)
        self.unplaced: list[UnknownField] = []

    def write(self) -> str:
        """The text, which ends with a line break, empty for an empty message.

        In strings, what a terminal would not show becomes escapes, which readers turn back.
        """
        self._write(self._message, (), 0)
        self.unplaced = [field for fields in self._unknown.values() for field in fields]
        return "".join(map(_escaped, self._out.getvalue().splitlines(keepends=True)))

    def _write(self, message: Message, path: FieldPath, depth: int) -> None:
        known = fields_of(message.DESCRIPTOR).by_name
        for descriptor, value in message.ListFields():
            field = known[descriptor.name]
            for i, element in enumerate(value if field.repeated else [value]):
                if field.kind == "message":
                    here = (*path, field.name, i) if field.repeated else (*path, field.name)
                    self._out.write(f"{_INDENT * depth}{field.name} {{\n")
                    self._write(element, here, depth + 1)
                    self._out.write(f"{_INDENT * depth}}}\n")
                else:
                    text_format.PrintField(
                        descriptor, element, self._out, indent=len(_INDENT) * depth, as_utf8=True
                    )
        for stranger in self._unknown.pop(path, ()):
            first, line_break, rest = stranger.text.partition("\n")
            text = first + line_break + textwrap.dedent(rest)
            self._out.write(textwrap.indent(text, _INDENT * depth) + "\n")


def _escaped(line: str) -> str:
    if line.removesuffix("\n").isprintable():
        return line
    return "".join(c if c.isprintable() or c in "\t\n" else _octal(c) for c in line)


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))

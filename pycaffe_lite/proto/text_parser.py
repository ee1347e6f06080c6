"""Reading protobuf's text format, keeping the fields that the schema does not know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from google.protobuf.message import Message

from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.printable import printable
from pycaffe_lite.proto.fork_fields import FORK_VALUES, Result, fork_field, value_in
from pycaffe_lite.proto.forks import is_fork_field
from pycaffe_lite.proto.text_fields import Field, fields_of
from pycaffe_lite.proto.text_slips import nearest, one_edit_apart, slip_of
from pycaffe_lite.proto.text_strings import BACKSLASH, unquote
from pycaffe_lite.proto.text_tokens import Source, Token

# No net nests deeper than this: Caffe's own messages need 6 levels.
_DEEPEST = 64
_CLOSERS = {"{": "}", "<": ">"}
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
# Forks that train on several GPUs name them all; one counts as well as another here, so the first is kept.
_FIRST_COUNTS = "device_id"
_FLOATS = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}

# Where a field stands in a message: names, with the index behind the name of a repeated field.
FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class UnknownField:
    """A field that the schema does not know.

    Attributes:
        path: of the message that it stands in, say ("layer", 3). message: the name of its type.
        name: of the field.
        text: the whole field as it stands in the file, from its name to the end of its value.
        line, column: where it starts; the first are 1.
    """

    path: FieldPath
    message: str
    name: str
    text: str
    line: int
    column: int


class Remark(NamedTuple):
    """A remark on the text that does not stop the reading.

    Attributes:
        what: in words, the same for each place that has it. offset: where it is.
        level: of the log.
    """

    what: str
    offset: int
    level: int = logging.WARNING


class _Block(NamedTuple):
    """A message's braces. opened: offset of its first word. closer: what ends it, '' at the top level."""

    opened: int
    closer: str
    depth: int


class TextParser:
    """Reads one text into a message.

    Args:
        source: the text. message: what to fill. strict: refuse what Caffe's own reader refuses.

    Attributes:
        source, message: as given.
        unknown: the fields that the schema does not know. remarks: what is to be logged.
        offsets: where each field stands that was read.
    """

    def __init__(self, source: Source, message: Message, *, strict: bool) -> None:
        self.source = source
        self.message = message
        self.unknown: list[UnknownField] = []
        self.remarks: list[Remark] = []
        self.offsets: dict[FieldPath, int] = {}
        self._strict = strict
        self._tokens = source.tokens(strict=strict)
        self._next = 0

    def parse(self) -> None:
        """Fills the message.

        Raises:
            PrototxtError: the text is not in the text format, or does not fit the message.
        """
        self._fields(self.message, (), _Block(0, "", 0))

    def top_level_names(self) -> Iterator[Token]:
        """The names of fields outside all braces."""
        depth = 0
        for token, following in pairwise(self._tokens):
            if token.kind == "symbol":
                depth += (token.text in "{<[") - (token.text in "}>]")
            elif (
                token.kind == "name" and depth == 0 and following.kind == "symbol" and following.text in ":{<"
            ):
                yield token

    # Words ----------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _since(self, start: Token) -> str:
        """The text from a word to the last one taken."""
        return self.source.text[start.start : self._tokens[self._next - 1].stop]

    def _at(self, symbols: str) -> bool:
        """Whether the next word is one of these one-character symbols."""
        token = self._tokens[self._next]
        return token.kind == "symbol" and token.text in symbols

    def _skip(self, symbols: str) -> bool:
        """Takes the next word if it is one of these symbols, and says whether it was."""
        found = self._at(symbols)
        self._next += found
        return found

    def _error(self, token: Token, what: str) -> PrototxtError:
        """The error for a word; if no text may hold the word at all, it says so."""
        if token.kind == "unclosed":
            what = "this string is not closed on its line"
        elif self.source.text.startswith("/*", token.start) and not self._strict:
            what = "this comment is not closed: '*/' is missing"
        elif self.source.text.startswith(("//", "/*"), token.start):
            what = f"unexpected '{self.source.text[token.start : token.start + 2]}': comments start with '#'"
        elif token.kind == "bad" and not 32 < ord(token.text) < 127:
            what = f"unexpected character '{printable(token.text)}'"
            if token.text.isprintable():  # it may look like one that belongs there
                what += f" (U+{ord(token.text):04X})"
        return self.source.error(token.start, what)

    # Messages -------------------------------------------------------------------------------

    def _fields(self, message: Message, path: FieldPath, block: _Block) -> None:
        """Reads the fields of a message up to its closing brace."""
        while not self._closed(block):
            token = self._take()
            if token.kind == "name":
                field = fields_of(message.DESCRIPTOR).by_name.get(token.text)
                if field is None or (self._strict and is_fork_field(message.DESCRIPTOR.name, field.name)):
                    self._unknown_field(message, path, block, token)
                else:
                    self._known_field(message, path, block, field, token)
            elif token.text == "[" and token.kind == "symbol":
                self._extension_name()
                self._keep(message, path, block, token)
            else:
                raise self._error(token, f"expected the name of a field, got '{printable(token.text)}'")
            self._skip(",;")
        missing = [name for name in fields_of(message.DESCRIPTOR).required if not message.HasField(name)]
        if missing:
            names = " and ".join(f"'{name}'" for name in missing)
            raise self.source.error(block.opened, f"{message.DESCRIPTOR.name} needs {names}")

    def _closed(self, block: _Block) -> bool:
        """Takes the brace that ends the block, or the end of the text, and says whether it was there."""
        token = self._token
        if token.kind == "end":
            if block.closer:
                last = self.source.line(token.start)
                raise self.source.error(
                    block.opened,
                    f"this block is not closed: '{block.closer}' is missing, the text ends at line {last}",
                )
            return True
        if token.kind == "symbol" and token.text in "}>":
            if token.text != block.closer:
                if not block.closer:
                    raise self._error(token, f"unexpected '{token.text}': no block is open")
                line = self.source.line(block.opened)
                raise self._error(
                    token, f"expected '{block.closer}' to close the block of line {line}, got '{token.text}'"
                )
            self._next += 1
            return True
        return False

    def _known_field(
        self, message: Message, path: FieldPath, block: _Block, field: Field, name: Token
    ) -> None:
        takes_several = field.repeated or (field.name == _FIRST_COUNTS and not self._strict)
        if not takes_several and message.HasField(field.name):
            here = (*path, field.name)
            line = self.source.line(self.offsets[here])
            raise self._error(name, f"'{field.name}' is given twice, first in line {line}")
        colon = self._skip(":")
        if field.kind != "message" and not colon:
            raise self._error(self._token, f"expected ':' after '{field.name}'")
        if not takes_several or not self._skip("["):
            self._element(message, path, block, field, name)
        elif not self._skip("]"):
            while True:
                self._element(message, path, block, field, self._token)
                if self._skip("]"):
                    break
                if not self._skip(","):
                    raise self._error(self._token, f"expected ',' or ']' in the list of '{field.name}'")

    def _element(self, message: Message, path: FieldPath, block: _Block, field: Field, start: Token) -> None:
        """Reads one value and puts it into the message."""
        value: Any = getattr(message, field.name)
        here = (*path, field.name, len(value)) if field.repeated else (*path, field.name)
        self.offsets.setdefault(here, start.start)
        if field.kind == "message":
            if not self._at("{<"):
                raise self._error(self._token, f"expected '{{' after '{field.name}'")
            if field.repeated:
                value = value.add()
            else:
                value.SetInParent()
            self._fields(value, here, self._open(start, block))
            return
        scalar = self._scalar(message, field)
        if scalar is None:
            return
        if field.repeated:
            value.append(scalar)
        elif field.name == _FIRST_COUNTS and message.HasField(field.name):
            self.remarks.append(
                Remark("further values of 'device_id' ignored: CPU only", start.start, logging.INFO)
            )
        else:
            setattr(message, field.name, scalar)

    def _open(self, start: Token, block: _Block) -> _Block:
        """Takes an opening brace."""
        if block.depth == _DEEPEST:
            raise self.source.error(start.start, f"blocks are nested more than {_DEEPEST} deep")
        return _Block(start.start, _CLOSERS[self._take().text], block.depth + 1)

    # Values ---------------------------------------------------------------------------------

    def _scalar(self, message: Message, field: Field) -> int | float | bool | str | bytes | None:
        """Reads a value; None if it is one that is logged and left out."""
        if field.kind == "int":
            return self._int(field)
        if field.kind == "float":
            return self._float(field)
        if field.kind == "bool":
            return self._bool(field)
        if field.kind == "enum":
            return self._enum(message, field)
        return self._string(field)

    def _number(self) -> str:
        """Takes a number that may have a sign, and returns its words."""
        sign = "-" if self._skip("-") else ""
        token = self._take()
        following = self._token
        if following.kind == "name" and following.start == token.stop:
            # Caffe accepts `pad: 1stride: 2`, so only what no field can begin with is an error.
            after = self._tokens[self._next + 1]
            if not (after.kind == "symbol" and after.text in ":{<"):
                raise self._error(token, f"malformed number '{token.text}{printable(following.text)}'")
        return sign + token.text

    def _signed(self) -> Token:
        """The next word, or the one behind a minus sign; takes nothing."""
        return self._tokens[self._next + self._at("-")]

    def _int(self, field: Field) -> int:
        start, token = self._token, self._signed()
        if token.kind != "int":
            raise self._error(token, f"expected an integer for '{field.name}'")
        value = self._integer(start, field.name, self._number())
        if not field.low <= value <= field.high:
            raise self._error(
                start, f"'{field.name}' must be within {field.low} and {field.high}, got {value}"
            )
        return value

    def _integer(self, start: Token, name: str, words: str) -> int:
        """A decimal, hexadecimal (0x1f) or octal (017) number."""
        digits = words.removeprefix("-")
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[0] == "0" else 10
        if len(digits) > 30:  # 64 bits need 22 octal digits
            raise self._error(start, f"the integer for '{name}' is too large")
        try:
            return int(words, base)
        except ValueError:
            raise self._error(start, f"malformed octal number '{words}' for '{name}'") from None

    def _float(self, field: Field) -> float:
        token = self._signed()
        if token.kind == "name" and token.text.lower() in _FLOATS:
            sign = -1.0 if self._skip("-") else 1.0
            return sign * _FLOATS[self._take().text.lower()]
        if token.kind not in ("int", "float") or token.text[:2] in ("0x", "0X"):
            raise self._error(token, f"expected a number for '{field.name}'")
        return float(self._number().rstrip("fF"))

    def _bool(self, field: Field) -> bool:
        token = self._token
        if token.kind == "name" and token.text in _BOOLS:
            return _BOOLS[self._take().text]
        if token.kind == "int":
            value = self._integer(token, field.name, self._number())
            if value in (0, 1):
                return bool(value)
        raise self._error(token, f"expected true or false for '{field.name}'")

    def _enum(self, message: Message, field: Field) -> int | None:
        start, token = self._token, self._signed()
        if token.kind == "int":
            word = self._number()
            number = self._integer(start, field.name, word)
            if number in field.values.values():
                return number
        elif token.kind == "name" and token is start:
            word = self._take().text
            forks = FORK_VALUES.get((message.DESCRIPTOR.name, field.name, word))
            if word in field.values and not (self._strict and forks):
                return field.values[word]
        elif token.kind == "string" and token is start and field.name == "engine":
            word = printable(self._take().text)
        elif token.kind == "string" and message.DESCRIPTOR.name == "V1LayerParameter":
            what = "'layers' is the old format, whose types are words; write 'layer' for a type in quotes"
            raise self._error(token, what)
        else:
            raise self._error(token, f"expected one of {', '.join(field.values)} for '{field.name}'")
        if field.name == "engine" and not self._strict:
            # An engine decides how something is computed, not what: a fork's own may be left out.
            what = f"unknown engine {word} in {message.DESCRIPTOR.name} is left out"
            self.remarks.append(Remark(what, start.start))
            return None
        close = nearest(word, field.values)
        forks = FORK_VALUES.get((message.DESCRIPTOR.name, field.name, word))
        meant = f", which only forks have ({forks})" if forks else f", did you mean {close}?" if close else ""
        raise self._error(
            start, f"unknown value {word} for '{field.name}'{meant} (known: {', '.join(field.values)})"
        )

    def _string(self, field: Field) -> str | bytes:
        start = self._token
        if start.kind != "string":
            raise self._error(start, f"expected a string in quotes for '{field.name}'")
        value = b""
        while self._token.kind == "string":
            token = self._take()
            try:
                value += unquote(token.text)
            except UnicodeEncodeError:
                raise self._error(token, f"the string for '{field.name}' is not UTF-8") from None
            except ValueError as error:
                raise self._error(token, f"{error}; {BACKSLASH}") from None
        if field.kind == "bytes":
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise self._error(start, f"the string for '{field.name}' is not UTF-8") from None

    # Fields that the schema does not know ------------------------------------------------------

    def _unknown_field(self, message: Message, path: FieldPath, block: _Block, name: Token) -> None:
        """Reads past a field that the schema does not know and keeps it; a slip is an error."""
        kind = message.DESCRIPTOR.name
        if path and name.text.startswith("layer") and self._at(":{<") and self._opens_block():
            root = fields_of(self.message.DESCRIPTOR).by_name.get(name.text)
            if root is not None:
                line = self.source.line(block.opened)
                raise self._error(
                    name,
                    f"expected '{block.closer}' before '{name.text}': the block of line {line} is not closed",
                )
        slip = slip_of(name.text, fields_of(message.DESCRIPTOR).scalars)
        if slip is not None and fork_field(kind, name.text) is None:
            raise self._error(name, f"unknown field '{name.text}' in {kind}, did you mean '{slip}'?")
        self._keep(message, path, block, name)

    def _opens_block(self) -> bool:
        """Whether a brace comes next, or a colon and a brace."""
        token = self._tokens[self._next + self._at(":")]
        return token.kind == "symbol" and token.text in "{<"

    def _keep(self, message: Message, path: FieldPath, block: _Block, start: Token) -> None:
        """Reads past a field whose name has been read and keeps its text."""
        name = self._since(start)
        kind = message.DESCRIPTOR.name
        fields = fields_of(message.DESCRIPTOR).by_name.values()
        messages = [field.name for field in fields if field.kind == "message"]
        meant = next((f", did you mean '{other}'?" for other in messages if one_edit_apart(name, other)), "")
        if self._strict:
            raise self._error(start, f"unknown field '{printable(name)}' in {kind}{meant}")
        self._skip_value(start, block)
        line, column = self.source.line(start.start), self.source.column(start.start)
        self.unknown.append(UnknownField(path, kind, name, self._since(start), line, column))
        known = fork_field(kind, name)
        if known is None:
            what = f"unknown field '{printable(name)}' in {kind} is ignored{meant}"
            self.remarks.append(Remark(what, start.start))
        elif known.result_of(value_in(self._since(start))) is Result.HARMLESS:
            why = known.why if known.result is Result.HARMLESS else f"{known.as_caffe} is what Caffe does"
            what = f"field '{name}' in {kind} ({known.shown_forks}) changes no result: {why}"
            self.remarks.append(Remark(what, start.start, logging.INFO))
        # Whoever builds the net or solver decides about a field that changes a result.

    def _extension_name(self) -> None:
        """Reads the rest of a name in brackets, as in [some.package.field]."""
        while not self._at("]"):
            token = self._take()
            if token.kind != "name" and not (token.kind == "symbol" and token.text in "./"):
                raise self._error(token, "expected ']' at the end of the name of an extension")
        self._next += 1

    def _skip_value(self, start: Token, block: _Block) -> None:
        """Reads past the value of a field whose name has been read: a scalar, a block or a list of either."""
        name = printable(self._since(start))
        colon = self._skip(":")
        if self._at("{<"):
            self._skip_block(self._open(start, block))
        elif not colon:
            raise self._error(self._token, f"expected ':' or '{{' after '{name}'")
        elif self._skip("["):
            self._skip_list(name, block)
        else:
            self._skip_scalar(name)

    def _skip_list(self, name: str, block: _Block) -> None:
        if self._skip("]"):
            return
        while True:
            if self._at("{<"):
                self._skip_block(self._open(self._token, block))
            else:
                self._skip_scalar(name)
            if self._skip("]"):
                return
            if not self._skip(","):
                raise self._error(self._token, f"expected ',' or ']' in the list of '{name}'")

    def _skip_block(self, block: _Block) -> None:
        while not self._closed(block):
            token = self._take()
            if token.kind == "symbol" and token.text == "[":
                self._extension_name()
            elif token.kind != "name":
                raise self._error(token, f"expected the name of a field, got '{printable(token.text)}'")
            self._skip_value(token, block)
            self._skip(",;")

    def _skip_scalar(self, name: str) -> None:
        token = self._signed()
        if token.kind in ("int", "float"):
            self._number()
        elif token.kind == "name":
            self._next += 1 + self._at("-")
        elif token.kind == "string" and token is self._token:
            while self._token.kind == "string":
                self._next += 1
        else:
            raise self._error(token, f"expected a value for '{name}'")

"""The words of protobuf's text format, and where they stand in the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.printable import printable

# How much of a line an error quotes.
_QUOTED = 100

_SPACE = r"[ \t\n\r\v\f]+"
_COMMENT = r"\#[^\n]*"
_COMMENT_OF_C = r"//[^\n]*|/\*[\s\S]*?\*/"  # some forks' readers take these, Caffe's does not
_KINDS = {
    "name": r"[A-Za-z_][A-Za-z0-9_]*",
    "float": r"(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?|[0-9]+(?:[eE][+-]?[0-9]+[fF]?|[fF])",
    "int": r"0[xX][0-9a-fA-F]+|[0-9]+",
    "string": r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|' r"'[^'\\\n]*(?:\\.[^'\\\n]*)*'",
    "symbol": r"[:{}<>\[\],;.\-/]",
    "end": r"\Z",
    "unclosed": r"[\"']",
    "bad": r"[\s\S]",
}
_WORD = "|".join(f"(?P<{kind}>{words})" for kind, words in _KINDS.items())
_TOKEN = re.compile(f"(?:{_SPACE}|{_COMMENT}|{_COMMENT_OF_C})*(?:{_WORD})")
_TOKEN_OF_CAFFE = re.compile(f"(?:{_SPACE}|{_COMMENT})*(?:{_WORD})")


class Token(NamedTuple):
    """One word of the text.

    Attributes:
        kind: name, float, int, string, symbol, end, or, of what no text may hold, unclosed or bad.
        text: as it stands there. start: its offset.
    """

    kind: str
    text: str
    start: int

    @property
    def stop(self) -> int:
        """The offset behind it."""
        return self.start + len(self.text)


class Source:
    """A text and the name under which errors speak of it."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def tokens(self, *, strict: bool = False) -> list[Token]:
        """All words of the text, up to the end or to the first one that no text may hold.

        Args:
            strict: whether comments are Caffe's alone, which begin with `#`; `// ...` and `/* ... */` are
                left out otherwise.
        """
        found = []
        behind = 0
        for match in (_TOKEN_OF_CAFFE if strict else _TOKEN).finditer(self.text):
            kind = match.lastgroup or "bad"
            # The end counts as right behind the last word: that is where something is missing.
            start = behind if kind == "end" else match.start(kind)
            token = Token(kind, match[kind], start)
            found.append(token)
            if kind in ("end", "unclosed", "bad"):
                break
            behind = token.stop
        return found

    def line(self, offset: int) -> int:
        """The number of the line at an offset; the first is 1."""
        return bisect_right(self._line_starts, offset)

    def column(self, offset: int) -> int:
        """The number of the character in its line; the first is 1."""
        return offset - self._line_starts[self.line(offset) - 1] + 1

    def error(self, offset: int, what: str) -> PrototxtError:
        """An error that names file, line and column, says what is wrong and quotes the line."""
        line, column = self.line(offset), self.column(offset)
        return PrototxtError(f'{self.name}:{line}:{column}: {what} — "{self._quote(line, column)}"')

    def _quote(self, line: int, column: int) -> str:
        start = self._line_starts[line - 1]
        stop = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        text = self.text[start:stop].rstrip()
        if len(text) > _QUOTED:
            first = max(0, min(column - 1 - _QUOTED // 2, len(text) - _QUOTED))
            last = first + _QUOTED
            text = ("…" if first else "") + text[first:last] + ("…" if last < len(text) else "")
        return printable(text.replace("\t", " "))

"""Text from files made fit to be shown: in errors, in the log, on the terminal.

A name in somebody's prototxt may hold anything: escapes that clear the screen, a line break with a traceback
behind it, marks that turn the direction of writing. The places where text leaves the package let it through
these functions, so that code which only says something need not think of it: `PycaffeError`, the log (`glog`)
and the command line (`cli.output`).
"""

from __future__ import annotations

import re

# Of a path the user wants to see all, of a name enough to know it by, of a message what is wrong at its end.
NAME_LIMIT = 200
WORD_LIMIT = 500
LINE_LIMIT = 2000

_LONG_WORD = re.compile(rf"\S{{{WORD_LIMIT + 1},}}")


class Lines(str):
    """A text of several lines that stands in the log as it is, line by line: a net's prototxt, say."""

    __slots__ = ()


def printable(text: str, limit: int = NAME_LIMIT) -> str:
    """The text on one line, of bounded length, without effect on a terminal.

    Letters of all scripts stay. Control characters, line breaks, invisible marks such as those that change
    the direction of writing, and bytes that are not UTF-8 (lone surrogates) become escapes as Python writes
    them. Of a longer text '…' stands for the middle. What the result holds is printable: a second time
    changes nothing.

    Args:
        text: any. limit: the number of characters that the result has at most.
    """
    return _cut(_escaped(text), limit)


def printable_line(text: str) -> str:
    """A whole message, in which names may stand: each word is cut, and the line as such."""
    return _cut(_LONG_WORD.sub(_cut_word, _escaped(text)), LINE_LIMIT)


def printable_lines(text: str) -> Lines:
    """A text that has several lines on purpose, each of them printable."""
    return Lines("\n".join(printable_line(line) for line in text.split("\n")))


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python's `surrogateescape` keeps it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _cut(text: str, limit: int) -> str:
    """Leaves the middle out: a message says at its end what is wrong, a path which file it is."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 3
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def _cut_word(match: re.Match[str]) -> str:
    return _cut(match[0], WORD_LIMIT)

"""Strings of protobuf's text format: quotes taken off, escapes replaced."""

from __future__ import annotations

import re

# What to say of a backslash that seems not to be meant as an escape, as in a path of Windows.
BACKSLASH = r"a backslash begins an escape in a prototxt: write / or \\ in a path"

# A pair of \u for one character outside the basic plane comes first, so that it is taken together.
_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[xX]([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))"
)
_SINGLE = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
    b"?": b"?",
    b"'": b"'",
    b'"': b'"',
}


def unquote(word: str) -> bytes:
    r"""The bytes that a quoted string stands for.

    Args:
        word: the string with its quotes; bytes that are not UTF-8 as lone surrogates (`surrogateescape`).

    Raises:
        ValueError: an escape such as `\q` has no meaning, or a character has no bytes.
    """
    body = word[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_replacement, body) if b"\\" in body else body


def _replacement(match: re.Match[bytes]) -> bytes:
    high, low, short, long, hexadecimal, octal, single = match.groups()
    if high:
        return _utf8(0x10000 + (int(high, 16) - 0xD800) * 0x400 + int(low, 16) - 0xDC00)
    if short or long:
        return _utf8(int(short or long, 16))
    if hexadecimal or octal:
        # Three octal digits can exceed a byte; its low eight bits count, as in protobuf.
        return bytes([(int(hexadecimal, 16) if hexadecimal else int(octal, 8)) & 0xFF])
    if single not in _SINGLE:
        raise ValueError(f"unknown escape '\\{single.decode('latin-1')}' in a string")
    return _SINGLE[single]


def _utf8(code: int) -> bytes:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"there is no character with the code {code:#x}")
    return chr(code).encode()

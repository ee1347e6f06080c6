"""Telling a slip of the keyboard from a name that is meant as it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# Forks name their own fields so: messages of their layers, and variants of a field by a letter (kernel_d
# beside kernel_h) or a number (momentum3 beside momentum2).
_NO_SLIP = re.compile(r".*(_param|_[A-Za-z]|[0-9])", re.DOTALL)
# In shorter names a single letter is too much of the whole to call it a slip.
_SHORTEST = 3


def one_edit_apart(a: str, b: str) -> bool:
    """Whether one letter inserted, left out or replaced, or two neighbours swapped, turn a into b."""
    if len(a) > len(b):
        a, b = b, a
    if len(b) - len(a) > 1 or a == b:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) < len(b):
        return a[start:] == b[start + 1 :]
    swapped = b[:start] + b[start : start + 2][::-1] + b[start + 2 :]
    return a[start + 1 :] == b[start + 1 :] or a == swapped


def slip_of(name: str, known: Iterable[str]) -> str | None:
    """The known name that a name plainly misspells, if there is one: one edit away, and no fork's way."""
    if len(name) < _SHORTEST or _NO_SLIP.fullmatch(name):
        return None
    return next((other for other in known if len(other) >= _SHORTEST and one_edit_apart(name, other)), None)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like a name, if one is like it; upper and lower case count as the same."""
    by_folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name[:100].casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None

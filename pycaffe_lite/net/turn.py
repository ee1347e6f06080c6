"""Turn: a net's lock, which lets one thread at a time through the net."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class Turn:
    """A net's own lock, `lock`, which a thread may take again while it holds it.

    If several threads ask a net for passes, these run one after another, as in pycaffe, where no other thread
    runs meanwhile. A copy of a net has a lock of its own. In a forked child all locks are free.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _turns.add(self)

    def __reduce__(self) -> Any:
        return Turn, ()


_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


def _free_all() -> None:
    for turn in _turns:
        turn.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)

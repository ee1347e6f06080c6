"""Turn: one thread at a time goes through a net."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class Turn:
    """A net's own lock, `lock`, which a thread may take again while it has it.

    Passes that several threads ask of a net come one after another, as in pycaffe, which lets no other thread
    run meanwhile. A copy of a net has a lock of its own, and in a forked child nobody holds any.
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

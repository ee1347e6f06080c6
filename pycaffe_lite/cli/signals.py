"""Signals while training: Ctrl-C and SIGTERM stop after the iteration; SIGHUP saves.

A second Ctrl-C stops at once. A second SIGTERM does not: schedulers send it several times before they kill.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pycaffe_lite.solver.action import Action

EFFECTS = [action.value for action in (Action.STOP, Action.SNAPSHOT, Action.NONE)]


class SignalRequests:
    """Turns signals into actions that the solver asks for between iterations.

    Args:
        sigint_effect, sighup_effect: one of EFFECTS each.

    Attributes:
        stopping: whether a signal has asked for the end.
        terminated: whether SIGTERM has.
    """

    def __init__(self, sigint_effect: str, sighup_effect: str) -> None:
        # In the order in which they are served.
        self._effects: dict[int, Action] = {}
        if hasattr(signal, "SIGHUP"):
            self._effects[signal.SIGHUP] = Action(sighup_effect)
        self._effects[signal.SIGINT] = Action(sigint_effect)
        self._effects[signal.SIGTERM] = Action.STOP
        self._pending: set[int] = set()
        self.stopping = False
        self.terminated = False

    def next_action(self) -> Action:
        """The action of a signal that has come since it was last asked; SIGHUP before those that stop."""
        for number, effect in self._effects.items():
            if number in self._pending:
                self._pending.remove(number)
                return effect
        return Action.NONE

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Nothing is written from here: the signal may have come in the middle of writing.
        effect = self._effects[number]
        self.terminated |= number == signal.SIGTERM
        if effect is Action.STOP:
            if number == signal.SIGINT and self.stopping:
                raise KeyboardInterrupt
            self.stopping = True
        if effect is not Action.NONE:
            self._pending.add(number)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Takes the signals over for as long as the block runs."""
        before = {number: signal.signal(number, self._note) for number in self._effects}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

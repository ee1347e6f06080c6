"""Signals while training: Ctrl-C stops after the iteration, a second one at once; SIGHUP saves."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from pycaffe_lite.cli.output import interactive
from pycaffe_lite.solver.action import Action

EFFECTS = ["stop", "snapshot", "none"]


class SignalRequests:
    """Turns signals into actions that the solver asks for between iterations.

    Args:
        sigint_effect, sighup_effect: one of EFFECTS each.
    """

    def __init__(self, sigint_effect: str, sighup_effect: str) -> None:
        self._effects = {signal.SIGINT: Action(sigint_effect)}
        if hasattr(signal, "SIGHUP"):
            self._effects[signal.SIGHUP] = Action(sighup_effect)
        self._pending: dict[int, bool] = {}
        self._interrupted = False

    def next_action(self) -> Action:
        """The action of a signal that has come since it was last asked; SIGHUP before SIGINT."""
        for number in reversed(self._effects):
            if self._pending.pop(number, False):
                return self._effects[signal.Signals(number)]
        return Action.NONE

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._effects[signal.SIGINT] is Action.STOP:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            if interactive():
                click.echo("Stopping after this iteration; press Ctrl-C again to stop at once.", err=True)
        self._pending[number] = True

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Takes the signals over for as long as the block runs."""
        before = {number: signal.signal(number, self._note) for number in self._effects}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

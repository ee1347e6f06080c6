"""Requests to a running solver from outside."""

from __future__ import annotations

import enum
from collections.abc import Callable


class Action(enum.Enum):
    """A request; the solver asks for one after each update and before each test batch."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"


ActionRequest = Callable[[], Action]


def no_request() -> Action:
    """Requests nothing: for a solver that is not steered from outside."""
    return Action.NONE

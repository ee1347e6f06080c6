"""What someone outside may ask of a running solver."""

from __future__ import annotations

import enum
from collections.abc import Callable


class Action(enum.Enum):
    """A request, polled after each update and before each test batch."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"


ActionRequest = Callable[[], Action]


def no_request() -> Action:
    """The request function of a solver that nobody steers."""
    return Action.NONE

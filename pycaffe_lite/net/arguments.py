"""The arguments that callers hand to a net: recognised by kind, with an error for any other kind."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, InputArrayError
from pycaffe_lite.proto import caffe_pb2

_FORMS = "Net(file, caffe.TEST), Net(file, caffe.TEST, weights=file) or Net(file, weights, caffe.TEST)"
_PHASES = {"TRAIN": caffe_pb2.TRAIN, "TEST": caffe_pb2.TEST}


class NetArguments(NamedTuple):
    """The arguments of `Net`.

    Attributes:
        file: the prototxt. phase, level, stages: the net's state. weights: weight files, in order.
    """

    file: str
    phase: caffe_pb2.Phase
    level: int
    stages: list[str]
    weights: list[str]


def net_arguments(
    file: Any, phase: Any, rest: Sequence[Any], level: Any, stages: Any, weights: Any
) -> NetArguments:
    """Tells the two forms of `Net` apart: (file, phase, level, stages, weights), and (file, weights, phase).

    Args:
        file: the first argument. rest: further positional ones.
        phase, level, stages, weights: keywords, None if they are not given.

    Raises:
        ArgumentError: there is no such form; the message says what is missing or wrong.
    """
    file = path_of(file, "the first argument of Net, a prototxt,")
    if rest and phase is not None:
        if not _is_path(rest[0]) or len(rest) > 1:
            raise ArgumentTypeError(f"phase is given twice: {rest[_is_path(rest[0])]!r} and {phase!r}")
        phase, rest = rest[0], [phase]
    elif rest:
        phase, *rest = rest
    if _is_path(phase) and not _names_phase(phase, rest, weights):
        if not rest:
            raise ArgumentTypeError(f"the phase is missing behind {os.fspath(phase)!r}: call {_FORMS}")
        if len(rest) > 1:
            raise ArgumentTypeError(
                f"Net(file, weights_file, phase) takes no further values, got {rest[1]!r}"
            )
        if weights is not None:
            raise ArgumentError(f"weights are given twice: {os.fspath(phase)!r} and {weights!r}")
        weights, phase = phase, rest[0]
    else:
        given = {"level": level, "stages": stages, "weights": weights}
        if len(rest) > len(given):
            raise ArgumentTypeError(f"Net takes 5 values at most, got {2 + len(rest)}: call {_FORMS}")
        for name, value in zip(given, rest, strict=False):
            if given[name] is not None:
                raise ArgumentTypeError(f"{name} is given twice: {value!r} and {given[name]!r}")
            given[name] = value
        level, stages, weights = given.values()
    return NetArguments(file, _phase(phase), _level(level), names_of(stages, "stages"), _weights(weights))


def state_arguments(what: str, phase: Any, level: Any, stages: Any, weights: Any) -> NetArguments:
    """The arguments of a net that comes from no file.

    Args:
        what: it comes from, "a text". The others: as in `Net`.

    Raises:
        ArgumentError: one of them is wrong.
    """
    names = names_of(stages, "stages")
    return NetArguments(f"<{what}>", _phase(phase), _level(level), names, _weights(weights))


def input_array(values: Any, what: str, axes: Sequence[int]) -> None:
    """Checks an array that a layer is to use as it is, without a copy.

    Args:
        values: the array. what: it is, for the error. axes: how many it may have.

    Raises:
        InputArrayError: it is no array, or of another type or shape, or not contiguous.
    """
    if not isinstance(values, np.ndarray):
        raise InputArrayError(f"{what} must be an array, got {_shown(values)}")
    if values.dtype != np.float32:
        raise InputArrayError(f"{what} must be float32, got {values.dtype}: give {what}.astype(np.float32)")
    if values.ndim not in axes:
        count = " or ".join(map(str, axes))
        raise InputArrayError(f"{what} must have {count} axes, got shape {values.shape}")
    if not values.flags.c_contiguous:
        raise InputArrayError(f"{what} must be contiguous: give np.ascontiguousarray({what})")


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def _names_phase(value: Any, rest: Sequence[Any], weights: Any) -> bool:
    """Whether a text in the place of the phase is meant as a phase and not as a weights file."""
    return not rest and (weights is not None or (isinstance(value, str) and value.upper() in _PHASES))


def _phase(value: Any) -> caffe_pb2.Phase:
    if value is None:
        raise ArgumentTypeError(f"the phase is missing: call {_FORMS}")
    if isinstance(value, str) and value.upper() in _PHASES:
        raise ArgumentTypeError(f'phase must be caffe.{value.upper()}, not the text "{value}"')
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    for phase in _PHASES.values():
        if phase == number:
            return phase
    raise ArgumentTypeError(f"phase must be caffe.TRAIN or caffe.TEST, got {value!r}")


def _level(value: Any) -> int:
    if value is None:
        return 0
    if _is_path(value):
        raise ArgumentTypeError(
            f"level must be a whole number, got {value!r}; for a file write weights={value!r}"
        )
    try:
        level = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"level must be a whole number, got {value!r}") from None
    if not -(2**31) <= level < 2**31:
        raise ArgumentError(f"level must be within {-(2**31)} and {2**31 - 1}, got {level}")
    return level


def _weights(value: Any) -> list[str]:
    if value is None:
        return []
    text = path_of(value, "weights, one file or several separated by commas,")
    files = [file.strip() for file in text.split(",")]
    if not all(files):
        raise ArgumentError(f"weights must be files separated by commas, got {text!r}")
    return files


def path_of(value: Any, what: str) -> str:
    """The path that an argument gives.

    Args:
        value: a str, bytes or os.PathLike. what: the argument's name in the error.

    Raises:
        ArgumentError: the value is something else, or empty.
    """
    if not _is_path(value):
        raise ArgumentTypeError(f"{what} must be a path, got {_shown(value)}")
    path = os.fsdecode(value)
    if not path:
        raise ArgumentError(f"{what} must be a path, got an empty text")
    return path


def names_of(values: Iterable[str] | None, what: str) -> list[str]:
    """The names in a list of names; an empty list for None.

    Raises:
        ArgumentError: the value is a text, whose letters would be taken for names, or holds something else.
    """
    if values is None:
        return []
    if isinstance(values, (str, bytes)):
        raise ArgumentTypeError(f"{what} must be a list of names, not a text: write [{values!r}]")
    if not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{what} must be a list of names, got {_shown(values)}")
    names = list(values)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(f"{what} must be a list of names, got {_shown(values)}")
    return names


def _shown(value: Any) -> str:
    """How an error shows a value: numbers as they are, and the type of anything larger."""
    return (
        repr(value) if value is None or isinstance(value, (bool, int, float)) else f"a {type(value).__name__}"
    )

"""Checks of a solver's settings: fields that forks have added, and numbers that are not finite."""

from __future__ import annotations

import math

from pycaffe_lite.errors import SolverError
from pycaffe_lite.net.detection_scores import AP_VERSIONS
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.fork_fields import Result, fork_field, value_in
from pycaffe_lite.proto.prototxt import Document

SolverDocument = Document[caffe_pb2.SolverParameter]

DETECTION = "detection"
_EVAL_TYPES = ("classification", DETECTION)

# An infinite limit to the norm of the gradients is no limit, as is a number below 0.
_MAY_BE_INFINITE = ("clip_gradients",)


def check_settings(document: SolverDocument) -> None:
    """Refuses settings with which training would differ from what they say, or be impossible.

    Raises:
        SolverError: a field of a fork changes the training, or a number is not finite.
    """
    for field in document.unknown:
        known = fork_field(field.message, field.name) if not field.path else None
        if known is None:
            continue
        value = value_in(field.text)
        if known.result_of(value) is not Result.HARMLESS:
            where = f"{document.path}:{field.line}: " if document.path else ""
            raise SolverError(
                where + known.refusal(field.name if value is None else f"{field.name}: {value}")
            )
    _check_evaluation(document)
    for descriptor, value in document.message.ListFields():
        name = descriptor.name
        if not isinstance(value, float) or math.isfinite(value):
            continue
        if not (value == math.inf and name in _MAY_BE_INFINITE):
            raise SolverError(f"{document.where((name,))}{name} must be a finite number, got {value:g}")


def _check_evaluation(document: SolverDocument) -> None:
    for name, known in (("eval_type", _EVAL_TYPES), ("ap_version", AP_VERSIONS)):
        value = getattr(document.message, name)
        if value not in known:
            raise SolverError(
                f"{document.where((name,))}unknown {name} '{value}' (known: {', '.join(known)})"
            )

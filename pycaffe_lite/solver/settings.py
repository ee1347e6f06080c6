"""A solver's settings: their document, and checks of fields that forks have added and of numbers."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from pycaffe_lite.errors import SolverError
from pycaffe_lite.formats.atomic import StrPath
from pycaffe_lite.net.arguments import path_of
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.fork_fields import Result, fork_field, value_in
from pycaffe_lite.proto.prototxt import Document, read_solver
from pycaffe_lite.solver import fork_rates

log = logging.getLogger(__name__)

SolverDocument = Document[caffe_pb2.SolverParameter]
SolverSource = StrPath | caffe_pb2.SolverParameter | SolverDocument

# An infinite limit to the norm of the gradients is no limit, as is a number below 0.
_MAY_BE_INFINITE = ("clip_gradients",)


def solver_document(source: Any, *, strict: bool = False) -> SolverDocument:
    """The settings as a document: read from a prototxt, or around a copy of a message.

    Raises:
        ArgumentError: it is neither a path nor such a message or document.
    """
    if isinstance(source, Document) and isinstance(source.message, caffe_pb2.SolverParameter):
        return source
    if isinstance(source, caffe_pb2.SolverParameter):
        copy = caffe_pb2.SolverParameter()
        copy.CopyFrom(source)
        return Document(copy)
    return read_solver(
        path_of(source, "a solver, given by its prototxt or its SolverParameter,"), strict=strict
    )


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
    for descriptor, value in document.message.ListFields():
        name = descriptor.name
        if not isinstance(value, float) or math.isfinite(value):
            continue
        if not (value == math.inf and name in _MAY_BE_INFINITE):
            raise SolverError(f"{document.where((name,))}{name} must be a finite number, got {value:g}")


# Fields of forks and the solver types that read them there; other types pass over them.
_READ_BY = {
    "larc": ("SGD", "SAG"),
    "local_lr_auto": ("SGD",),
    "momentum_policy": ("SGD", "SAG"),
    "lr_dropout": ("SGD",),
    "amsgrad": ("Adam",),
    "rectified": ("Adam",),
    "adabelief": ("Adam",),
    "gc": ("Adam",),
}


def check_forks(document: SolverDocument, solver_type: str, decays_apart: Sequence[str]) -> None:
    """Checks the settings that forks have added, besides those of the rate's policy.

    Args:
        document: the settings. solver_type: the solver's. decays_apart: the regularization types, beside
            Caffe's, that it can do.

    Raises:
        SolverError: one is out of range, or contradicts another.
    """
    p = document.message

    def refuse(name: str, problem: str) -> None:
        raise SolverError(f"{document.where((name,))}{problem}")

    for name, types in _READ_BY.items():
        if p.HasField(name) and solver_type not in types:
            log.info("%s has no effect on solvers of type %s", name, solver_type)
    known = ("L1", "L2", "L2_unitary", *decays_apart)
    if p.regularization_type == "decoupled" and "decoupled" not in known:
        log.info("regularization_type decoupled: no weight decay in solvers of type %s", solver_type)
    elif p.regularization_type not in known and p.weight_decay:
        refuse(
            "regularization_type",
            f"unknown regularization_type '{p.regularization_type}' for solvers of type {solver_type} "
            f"(known types: {', '.join(known)})",
        )
    for name, values in (
        ("larc_policy", ("scale", "clip")),
        ("momentum_policy", ("fixed", "poly", "opt")),
    ):
        if getattr(p, name) not in values:
            refuse(name, f"unknown {name} '{getattr(p, name)}' (known ones: {', '.join(values)})")
    for name in ("momentum_policy", "weight_decay_policy"):
        if getattr(p, name) == "poly" and p.max_iter <= 0:
            refuse(name, f"{name} poly needs max_iter above 0, got {p.max_iter}")
    if p.weight_decay_policy == "poly" and not p.HasField("max_weight_decay"):
        refuse(
            "weight_decay_policy",
            "weight_decay_policy poly needs max_weight_decay: without it, weight decay falls to 0 in "
            "NVIDIA's 0.17, and rises from 0 in its 0.16",
        )
    if p.larc and p.local_lr_auto:
        refuse("local_lr_auto", "no fork has both larc (NVIDIA) and local_lr_auto (Intel)")
    if not 0 <= p.lr_dropout <= 1:
        refuse("lr_dropout", f"lr_dropout must be from 0 to 1, got {p.lr_dropout:g}")
    if p.lr_dropout != 1 and p.regularization_type == "WD":
        refuse("lr_dropout", "no fork has both lr_dropout (jolibrain) and regularization_type WD (NVIDIA)")
    if p.lookahead and p.lookahead_steps < 1:
        refuse("lookahead_steps", f"lookahead_steps must be at least 1, got {p.lookahead_steps}")
    if p.decoupled_wd_t0 < 1 or p.decoupled_wd_mult < 1:
        refuse(
            "decoupled_wd_t0",
            "decoupled_wd_t0 and decoupled_wd_mult must be at least 1, got "
            f"{p.decoupled_wd_t0} and {p.decoupled_wd_mult:g}",
        )
    if p.clamp_weights_lower > p.clamp_weights_upper:
        refuse("clamp_weights_lower", "clamp_weights_lower must not be above clamp_weights_upper")
    try:
        fork_rates.check(p)
    except SolverError as error:
        refuse("lr_policy", str(error))

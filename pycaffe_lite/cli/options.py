"""Options in Caffe's spelling: `-solver x`, `-solver=x`, `--solver x`, with `_` or `-` between words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pycaffe_lite.kernels import _jit
from pycaffe_lite.proto import caffe_pb2

F = TypeVar("F", bound=Callable[..., Any])


def caffe_option(name: str, **attributes: Any) -> Callable[[F], F]:
    """An option that Caffe's command has too: one dash or two, and both spellings of a long name.

    There are no one-letter options: `-s` would swallow `-solver`.
    """
    spellings = [f"--{name}", f"-{name}"]
    if "_" in name:
        spellings.insert(1, f"--{name.replace('_', '-')}")
    return click.option(*spellings, name, **attributes)


def _set_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    if value is not None:
        _jit.set_num_threads(value)


def threads_option(function: F) -> F:
    """`--threads N`: how many threads the kernels use."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        callback=_set_threads,
        expose_value=False,
        help="Threads for the kernels. [default: PYCAFFE_LITE_THREADS, else the cores this process may use]",
    )(function)


def gpu_option(function: F) -> F:
    """`-gpu 0`: taken from Caffe's command lines; the run is on the CPU, which is said."""
    return caffe_option(
        "gpu",
        default="",
        metavar="IDS",
        help="Accepted for Caffe's command lines; there is no GPU support, so the CPU is used.",
    )(function)


def net_state_options(function: F) -> F:
    """`--level` and `--stage`: the net's state, for include and exclude rules."""
    function = caffe_option(
        "stage", default="", metavar="NAMES", help="Stages of the net that hold, comma-separated."
    )(function)
    return caffe_option("level", type=int, default=0, show_default=True, help="Level of the net.")(function)


def strict_option(function: F) -> F:
    """`--strict`: unknown fields are errors."""
    return click.option(
        "--strict", is_flag=True, help="Treat every field that Caffe's schema lacks as an error."
    )(function)


def parse_phase(text: str, default: int) -> int:
    """TRAIN or TEST by name; `default` for an empty text."""
    if not text:
        return default
    if text not in ("TRAIN", "TEST"):
        raise click.BadParameter(f"phase must be TRAIN or TEST, not '{text}'", param_hint="'--phase'")
    return int(caffe_pb2.Phase.Value(text))


def split_names(text: str) -> list[str]:
    """The parts of a comma-separated list, as Caffe splits it: an empty text is one empty name."""
    return [part.strip() for part in text.split(",")]


def one_of(option: str | None, argument: str | None, name: str) -> str:
    """The value given as an option or as the argument, which must be one of them."""
    if (option is None) == (argument is None):
        raise click.UsageError(f"give the {name}'s prototxt, as the argument or as --{name}")
    return option or argument or ""

"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pycaffe_lite import kernels
from pycaffe_lite.data import image
from pycaffe_lite.data.database import BACKENDS
from pycaffe_lite.errors import KernelError
from pycaffe_lite.kernels import MOST_THREADS

F = TypeVar("F", bound=Callable[..., Any])


def _set_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    if value is not None:
        try:
            kernels.set_num_threads(value)
        except KernelError as error:
            raise click.BadParameter(str(error), ctx, param) from None


class OptionalNumber(click.Option):
    """An option that may stand alone, or with a number: `--dashboard`, `--dashboard 8000`.

    `CaffeCommand` reads it: what follows is its value only if it is a number. Alone it counts as 0.
    """


def threads_option(function: F) -> F:
    """`--threads N`: how many threads the kernels use."""
    return click.option(
        "--threads",
        type=click.IntRange(1, MOST_THREADS),
        metavar="N",
        callback=_set_threads,
        expose_value=False,
        help="Number of threads.  [default: PYCAFFE_LITE_THREADS, else OMP_NUM_THREADS, else the cores that "
        "may be used]",
    )(function)


def _set_max_pixels(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    if value is not None:
        image.set_max_pixels(value)


def max_pixels_option(function: F) -> F:
    """`--max-pixels N`: the pixels beyond which no picture of a database is decoded."""
    return click.option(
        "--max-pixels",
        type=click.IntRange(1),
        metavar="N",
        callback=_set_max_pixels,
        expose_value=False,
        help="Refuse encoded pictures of more pixels.  [default: PYCAFFE_LITE_MAX_PIXELS, else 8192 x 8192]",
    )(function)


def timeline_option(when: str) -> Callable[[F], F]:
    """`--timeline FILE`."""
    return click.option(
        "--timeline",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"Write which thread ran which kernel when, {when}, for a trace viewer: ui.perfetto.dev, or "
        "chrome://tracing in Chrome.",
    )


def gpu_option(function: F) -> F:
    """`-gpu 0`: accepted as on Caffe's command lines; the log says that there is no GPU support."""
    return click.option(
        "--gpu",
        default="",
        metavar="IDS",
        help="Accepted as on Caffe's command lines, and ignored: CPU only.",
    )(function)


def iterations_option(what: str) -> Callable[[F], F]:
    """`--iterations N`."""
    return click.option(
        "--iterations", type=click.IntRange(1), metavar="N", default=50, show_default=True, help=what
    )


def phase_option(function: F) -> F:
    """`--phase TRAIN` or `--phase TEST`."""
    return click.option(
        "--phase",
        type=click.Choice(["TRAIN", "TEST"], case_sensitive=False),
        metavar="TRAIN|TEST",
        default="TRAIN",
        show_default=True,
        help="Phase of the net.",
    )(function)


def net_state_options(function: F) -> F:
    """`--level` and `--stage`: the net's state, for include and exclude rules."""
    function = click.option(
        "--stage",
        default="",
        metavar="NAMES",
        help="Stages of the net, comma-separated, for its include and exclude rules.",
    )(function)
    return click.option(
        "--level",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help="Level of the net, for its include and exclude rules.",
    )(function)


def strict_option(function: F) -> F:
    """`--strict`: unknown fields are errors."""
    return click.option(
        "--strict", is_flag=True, help="Refuse fields that Caffe does not know, as Caffe does."
    )(function)


def split_names(text: str) -> list[str]:
    """The parts of a comma-separated list, as Caffe splits it: an empty text is one empty name."""
    return [part.strip() for part in text.split(",")]


def one_of(option: str | None, argument: str | None, name: str) -> str:
    """The file named by the option or by the argument, which must be one of them."""
    if option and argument:
        raise click.UsageError(f"Two {name} files are given, '{argument}' and '{option}': give one.")
    if not (option or argument):
        raise click.UsageError(f"Missing the {name}'s prototxt: give it as the argument or as --{name}.")
    return option or argument or ""


def backend_option(default: str | None) -> Callable[[F], F]:
    """`--backend lmdb` or `--backend leveldb`; default None: whichever is found."""
    found = "" if default else "  [default: whichever it is]"
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS, case_sensitive=False),
        default=default,
        show_default=default is not None,
        help=f"Kind of the database.{found}",
    )

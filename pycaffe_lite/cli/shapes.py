"""The options of commands that look at a net without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Shapes = dict[str, tuple[int, ...]]


def read_shapes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Shapes:
    """The shapes by name of an option that is given several times, as `data=1,3,224,224`."""
    shapes = {}
    for value in values:
        name, _, numbers = value.rpartition("=")
        try:
            shape = tuple(int(number) for number in numbers.replace("x", ",").split(","))
        except ValueError:
            shape = ()
        if not name or not shape or min(shape) < 1:
            raise click.BadParameter(f"'{value}' is not of the form data=1,3,224,224", ctx, param)
        shapes[name] = shape
    return shapes


def shape_option(function: F) -> F:
    """`--shape data=1,3,224,224`: the shape of a top of a data or Input layer."""
    return click.option(
        "--shape",
        "shapes",
        metavar="TOP=N,C,H,W",
        multiple=True,
        callback=read_shapes,
        help="Shape of a top of a data or Input layer, in place of what the net says or its data set holds. "
        "May be given several times.",
    )(function)

"""`pycaffe-lite summary`: a net in numbers, and what is suspicious in it."""

from __future__ import annotations

import json
import logging

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import net_state_options, phase_option, split_names, strict_option
from pycaffe_lite.cli.output import Column, echo, echo_table, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.numbers import as_bytes, as_count, as_shape
from pycaffe_lite.view.shaped import shaped_net
from pycaffe_lite.view.summary import LayerSummary, NetSummary, summarize

MOST_WARNINGS = 20


@click.command("summary", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@phase_option
@net_state_options
@shape_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON in place of the table.")
@strict_option
def command(
    net_file: str, phase: str, level: int, stage: str, shapes: Shapes, as_json: bool, strict: bool
) -> None:
    """Shows a net in numbers, layer by layer.

    Prints for each layer of the prototxt NET its blobs and their shapes, how many values it learns, the
    multiply-adds of a forward pass and the memory that it takes; the sums of these, what training needs, and
    what looks like a mistake. Nothing is run, and the data sets need not be there.
    """
    start_log(least=logging.WARNING)
    shaped = shaped_net(
        net_file, caffe_pb2.Phase.Value(phase), level, split_names(stage), shapes, strict=strict
    )
    summary = summarize(shaped)
    if as_json:
        echo_lines(json.dumps(summary.to_dict(), indent=1))
        return
    _print_table(summary)
    forward, training = as_bytes(summary.forward_memory), as_bytes(summary.training_memory)
    echo(f"Memory: {forward} for a pass forward, {training} for training by SGD with momentum.")
    for remark in summary.remarks:
        echo(remark)
    for warning in summary.warnings[:MOST_WARNINGS]:
        echo(f"Warning: {warning}")
    if (more := len(summary.warnings) - MOST_WARNINGS) > 0:
        echo(f"There are {more} more warnings; --json has all.")


def echo_lines(text: str) -> None:
    """Writes a text of several lines to stdout."""
    for line in text.split("\n"):
        echo(line)


def _print_table(summary: NetSummary) -> None:
    columns = [
        Column("layer", f"{len(summary.layers)} layers"),
        Column("type"),
        Column("bottoms → tops"),
        Column("output"),
        Column("params", as_count(summary.params), is_number=True),
        Column("mult-adds", as_count(summary.multiply_adds), is_number=True),
        Column("bytes", as_bytes(summary.forward_memory), is_number=True),
    ]
    title = f"{summary.name or 'Net'} ({summary.phase})"
    echo_table(title, columns, [_row(layer) for layer in summary.layers])


def _row(layer: LayerSummary) -> tuple[str, ...]:
    return (
        layer.name,
        layer.type,
        f"{', '.join(layer.bottoms)} → {', '.join(layer.tops)}".strip(),
        ", ".join(map(as_shape, layer.shapes)),
        as_count(layer.params) if layer.params else "",
        "?" if layer.multiply_adds is None else as_count(layer.multiply_adds) if layer.multiply_adds else "",
        as_bytes(layer.memory) if layer.memory else "",
    )

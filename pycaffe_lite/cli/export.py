"""`pycaffe-lite export`: a net as an ONNX file, checked against itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import numpy as np

from pycaffe_lite.classify import read_mean
from pycaffe_lite.cli.arrays import read_inputs
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import shaped_with_weights
from pycaffe_lite.cli.options import net_state_options, strict_option, threads_option
from pycaffe_lite.cli.output import Column, echo, echo_table, start_log
from pycaffe_lite.cli.shapes import Shapes, shape_option
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.view.numbers import as_bytes


def _batch(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "dynamic":
        return value
    if not value.isdecimal() or not int(value):
        raise click.BadParameter(f"'{value}' is neither a number above 0 nor 'dynamic'", ctx, param)
    return int(value)


@click.command("export", cls=CaffeCommand)
@click.argument("net_file", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("out", metavar="OUT.onnx", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "target",
    type=click.Choice(["onnxruntime", "opencv5"]),
    default="onnxruntime",
    show_default=True,
    help="What shall run it: onnxruntime, or anything else that knows ONNX's standard operators; opencv5, "
    "with OpenCV's own layers.",
)
@click.option(
    "--opset", type=int, default=13, show_default=True, help="Version of the operators, from 11 on."
)
@click.option("--batch", metavar="N|dynamic", callback=_batch, help="Batch size.  [default: the net's own]")
@click.option("--fold", is_flag=True, help="Fold BatchNorm and Scale into the layers before or behind them.")
@click.option(
    "--mean",
    metavar="M",
    help="Subtracted from the first input: 104,117,123, a .npy or a .binaryproto file.",
)
@click.option("--scale", type=float, metavar="S", help="What the first input is multiplied by after that.")
@click.option(
    "--output",
    "outputs",
    metavar="BLOB",
    multiple=True,
    help="Give this blob in place of the net's outputs; repeatable.",
)
@click.option(
    "--input", "input_file", metavar="FILE", type=click.Path(path_type=Path),
    help="Check on these inputs as well: .npz by name; .npy or a picture for a net with one.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(0), default=1e-4, show_default=True,
    help="Largest difference to accept, in parts of an output's largest value.",
)  # fmt: skip
@click.option("--no-check", is_flag=True, help="Write the file without running it.")
@shape_option
@net_state_options
@strict_option
@threads_option
def command(
    net_file: str,
    weights: str,
    out: Path,
    target: str,
    opset: int,
    batch: int | str | None,
    fold: bool,
    mean: str | None,
    scale: float | None,
    outputs: tuple[str, ...],
    input_file: Path | None,
    tolerance: float,
    no_check: bool,
    shapes: Shapes,
    level: int,
    stage: str,
    strict: bool,
) -> None:
    """Writes a net as an ONNX file, as it runs in TEST.

    NET is a prototxt, WEIGHTS a .caffemodel; data layers become inputs. Says what became of each layer, runs
    the file on random inputs, and refuses to write one that is not the net.
    """
    from pycaffe_lite.export.folding import folded
    from pycaffe_lite.export.onnx.files import moved_when_right
    from pycaffe_lite.export.onnx.model import Export

    start_log(least=logging.WARNING)
    net = shaped_with_weights(net_file, weights, level, stage, shapes, strict=strict)
    if fold:
        result = folded(net)
        for line in result.remarks:
            echo(line)
        net = result.net
        del result
    export = Export(
        net,
        target=target,
        opset=opset,
        batch=batch,
        outputs=outputs or None,
        mean=None if mean is None else read_mean(mean),
        scale=scale,
    )
    del net  # the weights are in memory once, and not at all while another program has them
    _print_layers(export)
    nodes = len(export.graph.nodes)
    given = None if input_file is None else read_inputs(input_file, export.net)
    with moved_when_right(out) as file:
        export.write(file)
        size = sum(part.stat().st_size for part in file.parent.iterdir())
        checked = "not checked" if no_check else _check(export, file, given, tolerance)
    echo(f"wrote {out}: {nodes} node{'s' * (nodes != 1)}, opset {opset}, {as_bytes(size)}; {checked}")


def _print_layers(export: Any) -> None:
    rows = [(layer.name, layer.type, _listed(layer.operators)) for layer in export.layers]
    echo_table(export.net.name or "Net", [Column("layer"), Column("type"), Column("ONNX")], rows)
    echo(f"inputs: {_shaped(export.graph.inputs)}")
    echo(f"outputs: {_shaped(export.graph.outputs)}")


def _listed(operators: Sequence[str]) -> str:
    """`Mul, 4 Add`: what stands several times in a row is counted."""
    parts = [(name, len(list(same))) for name, same in groupby(operators)]
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in parts) or "-"


def _shaped(values: Mapping[str, Sequence[int | str]]) -> str:
    return ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in values.items())


def _check(export: Any, file: Path, given: Mapping[str, np.ndarray] | None, tolerance: float) -> str:
    """Runs the net, and then the file; returns the outcome in words."""
    from pycaffe_lite.export.compare import largest
    from pycaffe_lite.export.onnx import check

    try:
        expected = check.cases(export, given)
        export.forget()
        runner = check.runner_for(export, file)
    except ArgumentError as error:
        if given is not None:
            raise
        return f"not checked: {error}"
    found = check.differences(export, runner, expected)
    worst = largest(
        found, f"run by {runner.name}", tolerance, "--tolerance allows more, --no-check writes it in any case"
    )
    inputs = "random and the given inputs" if given is not None else "random inputs"
    return (
        f"{runner.name} differs by {worst.relative:.1e} of the largest value at most, on {inputs} "
        f"(output '{worst.output}')"
    )

"""`pycaffe-lite import`: an ONNX model as a prototxt and a caffemodel, checked against itself."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import split_names
from pycaffe_lite.cli.output import Column, echo, echo_table, start_log
from pycaffe_lite.cli.shapes import Shapes, read_shapes
from pycaffe_lite.errors import OnnxError

if TYPE_CHECKING:
    from pycaffe_lite.export.importing.imported import ImportedNet


def _types(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return [name for value in values for name in split_names(value) if name]


@click.command("import", cls=CaffeCommand)
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.argument("name", metavar="NAME")
@click.option(
    "--allow",
    metavar="TYPE,…",
    multiple=True,
    callback=_types,
    help="Use these types of Caffe's forks where they fit, which Caffe itself lacks: DepthwiseConvolution, "
    "HardSigmoid, HardSwish, Interp, Mish, Permute, ReLU6, SeLU, ShuffleChannel, Upsample; and round_mode, a "
    "field of newer versions of Caffe.",
)
@click.option(
    "--avoid",
    metavar="TYPE,…",
    multiple=True,
    callback=_types,
    help="Do without these types of Caffe's, which older versions of it lack: Clip.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Batch size of inputs that leave it open.",
)
@click.option(
    "--shape",
    "shapes",
    metavar="INPUT=N,C,H,W",
    multiple=True,
    callback=read_shapes,
    help="Shape of an input, in place of what the model says. Repeatable.",
)
@click.option(
    "--output",
    "outputs",
    metavar="TENSOR",
    multiple=True,
    help="End the net with this tensor, not with the model's outputs. Repeatable.",
)
@click.option(
    "--input",
    "input_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Check on these inputs as well: .npz by name, or .npy for a model with one.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-4,
    show_default=True,
    help="Largest difference to accept, in parts of an output's largest value.",
)
@click.option("--no-check", is_flag=True, help="Write the files without running them.")
def command(
    model: Path,
    name: str,
    allow: list[str],
    avoid: list[str],
    batch: int,
    shapes: Shapes,
    outputs: tuple[str, ...],
    input_file: Path | None,
    tolerance: float,
    no_check: bool,
) -> None:
    """Makes a net for Caffe of an ONNX model.

    Writes NAME.prototxt and NAME.caffemodel, which Caffe reads: its own types of layers and fields only,
    unless others are allowed. Says what became of the inputs and outputs, runs the net beside the model, and
    writes nothing if they differ. What cannot be expressed is named, node by node.
    """
    from pycaffe_lite.export.importing.translate import from_onnx

    start_log(least=logging.WARNING)
    try:
        imported = from_onnx(
            model, name=Path(name).name, batch=batch, shapes=shapes, outputs=outputs, allow=allow, avoid=avoid
        )
    except OnnxError as error:
        if len(error.problems) > 1:
            for problem in error.problems:
                echo(problem, err=True)
        raise
    _print_layers(imported)
    outcome = "not checked" if no_check else _checked(imported, input_file, tolerance)
    paths = imported.write(name)
    echo(f"wrote {paths[0]} and {paths[1]}: {outcome}")


def _print_layers(imported: ImportedNet) -> None:
    """Says which layers there are, and where inputs and outputs are."""
    types = Counter(layer.type for layer in imported.message.layer)
    columns = [Column("type"), Column("layers", str(sum(types.values())), is_number=True)]
    echo_table(imported.name, columns, [(kind, str(number)) for kind, number in types.most_common()])
    for what, places in (("input", imported.inputs), ("output", imported.outputs)):
        for place in places:
            own, blob = place.view.shape, imported.layers.shapes[place.blob]
            order = "" if own == blob else f", in the model {_shape(own)}"
            if own != blob and not place.view.is_plain:
                order += " with the channels last"
            echo(f"{what} '{place.name}': blob '{place.blob}' {_shape(blob)}{order}")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _checked(imported: ImportedNet, input_file: Path | None, tolerance: float) -> str:
    """Runs net and model; the outcome in words.

    Raises:
        OnnxError: they differ.
    """
    from pycaffe_lite.export.importing.reference import can_run

    given = [] if input_file is None else [(str(input_file), imported.read_inputs(input_file))]
    if not can_run() and not given:
        return "not checked, because onnxruntime is not installed"
    worst, where = None, ""
    for what, inputs in (*imported.trial_inputs(), *given):
        for difference in imported.differences(inputs):
            if worst is None or difference.relative > worst.relative:
                worst, where = difference, f"output '{difference.name}' on {what}"
    if worst is None:
        return "nothing to check"
    if not worst.relative <= tolerance:
        raise OnnxError(
            f"the net is not the model: {where} differs by {worst.relative:.2g} of its largest value, more "
            f"than {tolerance:g}; nothing was written (--tolerance accepts more)"
        )
    return f"ONNX Runtime differs by {worst.relative:.1e} of the largest value at most ({where})"

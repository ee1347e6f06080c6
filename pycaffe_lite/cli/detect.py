"""`pycaffe-lite detect`: the objects in pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from pycaffe_lite.classify import files_in
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import check_layers
from pycaffe_lite.cli.options import max_pixels_option, threads_option
from pycaffe_lite.cli.output import Column, echo, echo_table, start_log
from pycaffe_lite.detections import BGR_OF_RGB, Detection, detect, draw_detections, read_names
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

_FILE = click.Path(path_type=Path)


@click.command("detect", cls=CaffeCommand)
@click.argument("model", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("images", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=_FILE)
@click.option(
    "--labels",
    metavar="FILE",
    type=_FILE,
    help="Names of classes: a LabelMap, or one a line, class 0's first.",
)
@click.option(
    "--out", metavar="FOLDER", type=_FILE, help="Draw the boxes on copies of the pictures, in FOLDER."
)
@click.option(
    "--mean",
    metavar="VALUES|FILE",
    default="",
    help="What is subtracted: one number or one for each channel, 104,117,123; or a .npy or .binaryproto.",
)
@click.option(
    "--scale", metavar="X", type=float, default=1.0, help="Factor after the mean is subtracted.  [default: 1]"
)
@click.option(
    "--raw-scale",
    metavar="X",
    type=float,
    default=255.0,
    help="Factor of pixels, which are from 0 to 1.  [default: 255]",
)
@click.option(
    "--channel-swap",
    metavar="ORDER",
    default=",".join(map(str, BGR_OF_RGB)),
    help="Which of red, green, blue each channel of the net is.  [default: 2,1,0, blue first]",
)
@click.option(
    "--threshold", metavar="X", type=float, default=0.3, help="The least score shown.  [default: 0.3]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@threads_option
@max_pixels_option
def command(
    model: str,
    weights: str,
    images: tuple[Path, ...],
    labels: Path | None,
    out: Path | None,
    mean: str,
    scale: float,
    raw_scale: float,
    channel_swap: str,
    threshold: float,
    as_json: bool,
) -> None:
    """Finds objects in pictures.

    Runs the net of the prototxt NET, whose output is that of DetectionOutput or a layer like it, on each
    IMAGE, or those of a FOLDER, and prints what it finds: class, score, and box in pixels.
    """
    swap = _order(channel_swap)
    start_log(least=logging.WARNING)
    images = tuple(files_in(images))
    net = Net(model, caffe_pb2.TEST, weights=weights)
    check_layers(net, model)
    names = read_names(labels) if labels else {}
    found = detect(
        net,
        images,
        mean=_mean(mean),
        scale=scale,
        raw_scale=raw_scale,
        channel_swap=swap,
        threshold=threshold,
    )
    if out is not None:
        _draw(images, found, names, out)
    if as_json:
        echo(json.dumps([_entry(path, own, names) for path, own in zip(images, found, strict=True)]))
    else:
        columns = [Column("picture"), Column("class"), Column("score", is_number=True)]
        columns += [Column(side, is_number=True) for side in ("xmin", "ymin", "xmax", "ymax")]
        echo_table("", columns, _rows(images, found, names))


def _order(text: str) -> list[int]:
    order = text.split(",")
    if sorted(part.strip() for part in order) != ["0", "1", "2"]:
        raise click.BadParameter(f"'{text}' is no order of 0,1,2", param_hint="'--channel-swap'")
    return [int(part) for part in order]


def _mean(text: str) -> npt.NDArray[np.float32] | None:
    """The mean that an option says: None, numbers, or an array from a file."""
    if not text:
        return None
    try:
        return np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        pass
    path = Path(text)
    if path.suffix != ".npy":
        return binaryproto.read(path).astype(np.float32)
    try:
        return np.load(path).astype(np.float32)  # type: ignore[no-any-return]
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the mean '{path}': {error}") from None


def _draw(
    images: Sequence[Path], found: Sequence[Sequence[Detection]], names: Mapping[int, str], folder: Path
) -> None:
    """Draws on all pictures; two of one name get numbers."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder '{folder}': {error.strerror}") from None
    taken: set[str] = set()
    for path, own in zip(images, found, strict=True):
        name, number = path.name, 1
        while name in taken:
            number += 1
            name = f"{path.stem}_{number}{path.suffix}"
        taken.add(name)
        draw_detections(path, own, names, folder / name)


def _entry(path: Path, found: Sequence[Detection], names: Mapping[int, str]) -> dict[str, object]:
    """What JSON says of a picture."""
    objects = [
        {
            "label": each.label,
            "name": names.get(each.label, str(each.label)),
            "score": round(each.score, 6),
            "box": [round(side, 2) for side in each.box],
        }
        for each in found
    ]
    return {"image": str(path), "objects": objects}


def _rows(
    images: Sequence[Path], found: Sequence[Sequence[Detection]], names: Mapping[int, str]
) -> Iterator[Sequence[str]]:
    """The rows of the table; a picture without objects has one that says so."""
    for path, own in zip(images, found, strict=True):
        if not own:
            yield str(path), "nothing", "", "", "", "", ""
        for each in own:
            box = (f"{side:.1f}" for side in each.box)
            yield str(path), names.get(each.label, str(each.label)), f"{each.score:.3f}", *box

"""`pycaffe-lite classify`: what a net sees in pictures."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from pycaffe_lite.classifier import Classifier
from pycaffe_lite.classify import (
    RAW_SCALE,
    Picture,
    Scored,
    classify,
    image_classifier,
    pictures_in,
    read_labels,
    read_mean,
)
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import max_pixels_option, threads_option
from pycaffe_lite.cli.output import bar, echo, progress_bar, start_log
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.printable import printable
from pycaffe_lite.view import attention
from pycaffe_lite.view.tiles import Pixels, Section, enlarged, heat, signed, write_sheet

_BAR_LETTERS = 24
_PICTURE_SIDE = 224  # pixels, to which small pictures are enlarged on a sheet


def _numbers(kind: type, count: int | None, form: str) -> Callable[..., Any]:
    """Reads an option's numbers, separated by commas."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        if value is None:
            return None
        try:
            numbers = tuple(kind(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or (count is not None and len(numbers) != count):
            raise click.BadParameter(f"'{value}' is not of the form {form}", ctx, param)
        return numbers

    return read


@click.command("classify", cls=CaffeCommand)
@click.argument("net", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("images", metavar="IMAGE|FOLDER...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--labels", metavar="FILE", help="Names of the classes, one a line.")
@click.option("--mean", metavar="M", help="What is subtracted: 104,117,123, or a .npy or .binaryproto file.")
@click.option(
    "--raw-scale",
    type=float,
    default=RAW_SCALE,
    show_default=True,
    help="What the pixels, which are from 0 to 1, are multiplied by.",
)
@click.option(
    "--input-scale", type=float, help="What the values are multiplied by, after the mean is subtracted."
)
@click.option(
    "--channel-swap",
    metavar="2,1,0",
    callback=_numbers(int, None, "2,1,0"),
    help="Order of the channels red, green, blue.  [default: 2,1,0 for a net of three channels]",
)
@click.option(
    "--images-dim",
    metavar="H,W",
    callback=_numbers(int, 2, "256,256"),
    help="Size to which pictures are resized before they are cropped.  [default: 256,256; the net's own size "
    "if that is larger, or at most 128]",
)
@click.option(
    "--oversample/--center-only",
    default=True,
    help="Average over ten crops (default), or take the centre alone.",
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes to show.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Pictures at once.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the shown classes as CSV.")
@click.option("--json", "json_file", metavar="FILE", help="Write the shown classes as JSON.")
@click.option("--npy", "npy_file", metavar="FILE", help="Write all scores, as Caffe's script does.")
@click.option(
    "--activations", metavar="PICTURE", type=click.Path(path_type=Path), help="Draw what each layer gives."
)
@click.option(
    "--saliency",
    metavar="PICTURE",
    type=click.Path(path_type=Path),
    help="Draw the gradient of the best score.",
)
@click.option(
    "--occlusion",
    metavar="PICTURE",
    type=click.Path(path_type=Path),
    help="Draw how the best score falls where the picture is covered.",
)
@threads_option
@max_pixels_option
def command(
    net: str,
    weights: str,
    images: tuple[Path, ...],
    labels: str | None,
    mean: str | None,
    raw_scale: float,
    input_scale: float | None,
    channel_swap: tuple[int, ...] | None,
    images_dim: tuple[int, int] | None,
    oversample: bool,
    top: int,
    batch: int,
    csv_file: str | None,
    json_file: str | None,
    npy_file: str | None,
    **drawn: Path | None,
) -> None:
    """Says what a net sees in pictures.

    NET is a prototxt with an Input layer, WEIGHTS a .caffemodel; pictures are files, folders of files, or
    .npy files of pictures. Prints the classes with the best scores; the defaults are those of Caffe's
    classify.py. The drawings are of one picture, of the crop of its centre.

    The pictures must be prepared as the net's training data were: --mean for its mean_file or mean_value,
    --input-scale for its scale. Where mirroring changes the class, as for digits and letters, take
    --center-only: five of the ten crops are mirrored.
    """
    start_log(least=logging.WARNING)
    classifier = image_classifier(
        net,
        weights,
        mean=None if mean is None else read_mean(mean),
        raw_scale=raw_scale,
        input_scale=input_scale,
        channel_swap=channel_swap,
        image_dims=images_dim,
    )
    classes = _classes(classifier)
    names = read_labels(labels, classes) if labels else [str(i) for i in range(classes)]
    pictures = pictures_in(images, color=classifier.blobs[classifier.inputs[0]].shape[1] == 3)
    if any(drawn.values()) and len(pictures) > 1:
        raise click.UsageError(
            f"--activations, --saliency and --occlusion draw one picture, not {len(pictures)}."
        )
    results: list[Scored] = []
    with progress_bar("classifying", len(pictures), "images") as advance:
        for scored in classify(classifier, pictures, oversample=oversample, batch=batch):
            results.append(scored)
            advance()
    for scored in results:
        _show(scored, names, top)
    good = [scored for scored in results if scored.error is None]
    _write_tables(good, names, top, csv_file, json_file, npy_file)
    if good:
        _draw(classifier, pictures[0], good[0].top(1)[0][0], names, (net, weights), drawn)
    if failed := len(results) - len(good):
        raise DataError(f"{failed} of {len(results)} pictures could not be read")


def _classes(classifier: Classifier) -> int:
    shape = classifier.blobs[classifier.outputs[0]].shape
    return shape[1] if len(shape) > 1 else 1


def _show(scored: Scored, names: Sequence[str], top: int) -> None:
    if scored.error is not None:
        echo(f"{scored.name}: {scored.error}", err=True)
        return
    echo(scored.name)
    best = scored.top(top)
    largest = max(1.0, max((abs(score) for _, score in best if math.isfinite(score)), default=0.0))
    for i, score in best:
        drawn = bar(max(score, 0.0) / largest, _BAR_LETTERS)
        echo(f"  {score:10.4f}  {drawn:<{_BAR_LETTERS}}  {printable(names[i])}")


def _write_tables(
    results: Sequence[Scored],
    names: Sequence[str],
    top: int,
    csv_file: str | None,
    json_file: str | None,
    npy_file: str | None,
) -> None:
    rows: list[dict[str, Any]] = [
        {"image": scored.name, "rank": rank, "class": i, "label": names[i], "score": score}
        for scored in results
        for rank, (i, score) in enumerate(scored.top(top), 1)
    ]
    if csv_file:
        text = io.StringIO()
        writer = csv.DictWriter(text, ["image", "rank", "class", "label", "score"])
        writer.writeheader()
        writer.writerows(rows)
        _write(csv_file, text.getvalue().encode("utf-8", "surrogateescape"))
    if json_file:
        # JSON has no NaN and no infinities.
        finite = [{**row, "score": row["score"] if math.isfinite(row["score"]) else None} for row in rows]
        _write(json_file, json.dumps(finite, indent=1).encode())
    if npy_file:
        data = io.BytesIO()
        np.save(data, np.array([scored.scores for scored in results]))
        _write(npy_file, data.getvalue())


def _write(path: str, data: bytes) -> None:
    with atomic_write(path, error=DataError) as file:
        file.write(data)
    echo(f"wrote {path}")


def _draw(
    classifier: Classifier,
    picture: Picture,
    label: int,
    names: Sequence[str],
    files: tuple[str, str],
    drawn: dict[str, Path | None],
) -> None:
    if not any(drawn.values()):
        return
    image = picture.load()
    seen = _seen(classifier.crops([image], oversample=False)[0])
    item = classifier.prepare([image], oversample=False)[0]
    if path := drawn["activations"]:
        _sheet(path, attention.activations(classifier, item))
    if path := drawn["saliency"]:
        values = attention.saliency(*files, item, label)
        _sheet(path, [seen, Section(f"saliency of {names[label]}", enlarged(heat(values), _PICTURE_SIDE))])
    if path := drawn["occlusion"]:
        count = attention.positions(*item.shape[1:])
        with progress_bar("covering", count) as advance:
            values = attention.occlusion(classifier, item, label, advance)
        what = Section(f"fall of {names[label]} where covered", enlarged(signed(values), _PICTURE_SIDE))
        _sheet(path, [seen, what])


def _sheet(path: Path, sections: Iterable[Section]) -> None:
    write_sheet(path, list(sections))
    echo(f"wrote {path}")


def _seen(crop: Any) -> Section:
    """The part of the picture that the net gets, (H, W, C) from 0 to 1."""
    pixels: Pixels = np.rint(np.clip(crop, 0, 1) * 255).astype(np.uint8)
    pixels = pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels
    return Section("what the net gets", enlarged(pixels, _PICTURE_SIDE))

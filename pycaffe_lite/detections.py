"""From pictures to the objects in them: `detect`, and the drawing of what it has found."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import image
from pycaffe_lite.data.image import Pixels
from pycaffe_lite.errors import ArgumentError, DataError, PrototxtError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats.atomic import atomic_path
from pycaffe_lite.layer.detection.save_output import read_labels
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.paths import read_regular

Array = npt.NDArray[Any]
Image = str | os.PathLike[str] | Array

BGR_OF_RGB = (2, 1, 0)
_BYTES = 255.0
_LARGEST_FILE = 1 << 24  # bytes, of names
# Types whose boxes are in pixels of what the net sees, and where their rows have class, score and box.
_IN_PIXELS: dict[str, tuple[int | None, int, slice]] = {
    "FrcnnOutput": (5, 6, slice(1, 5)),
    "BoxGroupOutput": (None, 5, slice(1, 5)),
}
_RELATIVE = (1, 2, slice(3, 7))
_COLUMNS = 7


class Detection(NamedTuple):
    """An object that a net has found.

    Attributes:
        label: its class. score: how sure the net is, 0 to 1 in most nets.
        box: xmin, ymin, xmax, ymax in pixels of the picture, within it.
    """

    label: int
    score: float
    box: tuple[float, float, float, float]


def detect(
    net: Net,
    images: Sequence[Image],
    *,
    mean: npt.ArrayLike | None = None,
    scale: float = 1.0,
    raw_scale: float = _BYTES,
    channel_swap: Sequence[int] | None = BGR_OF_RGB,
    threshold: float = 0.0,
) -> list[list[Detection]]:
    """Finds objects in pictures with a net whose output is boxes, such as an SSD or a YOLO.

    Each picture is resized to the net's input, as OpenCV does it. Its values, red, green and blue from 0 to
    1, get the order `channel_swap`, are multiplied by `raw_scale`, lessened by `mean` and multiplied by
    `scale`, as in pycaffe's Classifier. The defaults give blue, green and red from 0 to 255.

    Args:
        net: with an input of pictures, (N, C, H, W), and an output of DetectionOutput, Yolov3DetectionOutput,
            FrcnnOutput or BoxGroupOutput, or one of (1, 1, M, 7) like DetectionOutput's. A second input of 3
            numbers, im_info, gets height, width and 1. It is reshaped to one picture at a time.
        images: files; or arrays, (H, W, 3) or (H, W), in red, green, blue, of uint8 or from 0 to 1.
        mean: one number, one for each channel of the net, or (C, H, W).
        scale, raw_scale: factors.
        channel_swap: which of red, green and blue each channel of the net is; None: the same order.
        threshold: the least score of what is returned.

    Returns:
        For each picture what was found there, the highest score first.

    Raises:
        FileLookupError: a picture is not there. DataError: it cannot be read.
        ArgumentError: the net has no such input or output, or mean or channel_swap does not fit it.
    """
    name, output, (label, score, box), in_pixels = _ends(net)
    C = net.blobs[name].shape[1]
    height, width = net.blobs[name].shape[2:]
    subtracted = _mean_of(mean, C)
    if channel_swap is not None and C == 3 and sorted(channel_swap) != [0, 1, 2]:
        raise ArgumentError(f"channel_swap must be an order of 0, 1 and 2, got {tuple(channel_swap)}")
    found: list[list[Detection]] = []
    net.blobs[name].reshape(1, C, height, width)
    net.reshape()
    for each in images:
        pixels = _pixels(each, C)
        seen = image.resize(pixels, height, width)
        planes = seen[..., ::-1] if C == 3 else seen  # red, green, blue
        if channel_swap is not None and C == 3:
            planes = planes[..., list(channel_swap)]
        values = planes.transpose(2, 0, 1).astype(np.float32) * np.float32(raw_scale / _BYTES)
        net.blobs[name].data[...] = (values - subtracted) * np.float32(scale)
        for other in net.inputs:
            if other != name:
                net.blobs[other].data[...] = np.reshape([height, width, 1], net.blobs[other].shape)
        net.forward()
        rows = np.array(net.blobs[output].data, np.float64).reshape(-1, net.blobs[output].shape[-1])
        size = np.array([width, height] * 2) if in_pixels else np.ones(4)
        found.append(list(_found(rows, label, score, box, size, pixels.shape, threshold)))
    return found


def _ends(net: Net) -> tuple[str, str, tuple[int | None, int, slice], bool]:
    """The input of pictures, the output of boxes, its columns, and whether these are in pixels."""
    pictures = [name for name in net.inputs if len(net.blobs[name].shape) == 4]
    others = [name for name in net.inputs if name not in pictures]
    if len(pictures) != 1 or any(net.blobs[name].count != 3 for name in others):
        raise ArgumentError(
            f"net '{net.name}' must have one input of pictures, (N, C, H, W), and at most im_info beside it, "
            f"got {', '.join(map(repr, net.inputs)) or 'none'}: use the prototxt for deployment"
        )
    if net.blobs[pictures[0]].shape[1] not in (1, 3):
        raise ArgumentError(
            f"input '{pictures[0]}' of net '{net.name}' must have 1 or 3 channels, got shape "
            f"{net.blobs[pictures[0]].shape}"
        )
    makers = {top: net.layer_dict[layer].type for layer, tops in net.top_names.items() for top in tops}
    for name in net.outputs:
        kind = makers[name]
        if kind == "BoxGroupOutput" and net.blobs[name].shape[-1] != 6:
            continue  # the boxes without their scores
        if kind in _IN_PIXELS:
            return pictures[0], name, _IN_PIXELS[kind], True
        shape = net.blobs[name].shape
        if len(shape) == 4 and (*shape[:2], shape[3]) == (1, 1, _COLUMNS):  # a map may be 7 wide, too
            return pictures[0], name, _RELATIVE, False
    outputs = ", ".join(f"'{name}' {net.blobs[name].shape}" for name in net.outputs)
    raise ArgumentError(
        f"net '{net.name}' has no output of boxes, (1, 1, M, {_COLUMNS}), but {outputs}: it must end with "
        "the layer that makes boxes of these, DetectionOutput or Yolov3DetectionOutput for instance"
    )


def _mean_of(mean: npt.ArrayLike | None, channels: int) -> Array:
    """What is subtracted, (1, 1, 1), (C, 1, 1) or (C, H, W)."""
    values = np.asarray(0.0 if mean is None else mean, np.float32)
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim < 2:
        values = values.reshape(-1, 1, 1)
    if values.ndim != 3 or values.shape[0] not in (1, channels):
        raise ArgumentError(
            f"mean must be a number, {channels} numbers or of shape ({channels}, H, W), got {values.shape}"
        )
    return values


def _pixels(source: Image, channels: int) -> Pixels:
    """The pixels of a picture, (H, W, C): blue, green, red, or grey."""
    if isinstance(source, (str, os.PathLike)):
        return image.read(Path(source), channels == 3).pixels
    values = np.asarray(source)
    if values.ndim == 2:
        values = values[..., None].repeat(channels, axis=2)
    if values.ndim != 3 or values.shape[2] != channels or not values.size:
        raise ArgumentError(f"a picture for this net must be (H, W, {channels}), got {values.shape}")
    if values.dtype != np.uint8:
        values = np.rint(values.clip(0, 1) * _BYTES).astype(np.uint8)
    return np.ascontiguousarray(values[..., ::-1])


def _found(
    rows: Array,
    label: int | None,
    score: int,
    box: slice,
    size: Array,
    shape: tuple[int, ...],
    threshold: float,
) -> Iterator[Detection]:
    """The rows that mean objects, the highest score first."""
    picture = np.array([shape[1], shape[0]] * 2)
    kept = rows[(rows[:, score] >= threshold) & (rows[:, score] >= 0)]
    if label is not None:
        kept = kept[kept[:, label] >= 0]
    for row in kept[np.argsort(-kept[:, score], kind="stable")]:
        corners = (row[box] / size * picture).clip(0, picture)
        if (corners[2:] > corners[:2]).all():
            yield Detection(
                1 if label is None else int(row[label]),
                float(row[score]),
                (float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3])),
            )


def read_names(path: Path) -> dict[int, str]:
    """The names of classes: of a LabelMap, or of a text with a name a line, that of class 0 first.

    Raises:
        FileLookupError: there is no such file. DataError: it cannot be read.
    """
    text = read_regular(path, _LARGEST_FILE, "a list of names", error=DataError).decode("utf-8", "replace")
    try:
        names = read_labels(path)
    except PrototxtError:
        names = {}
    return names or dict(enumerate(text.removeprefix("\ufeff").splitlines()))


def draw_detections(source: Path, found: Sequence[Detection], names: Mapping[int, str], target: Path) -> None:
    """Draws boxes with names and scores on a picture.

    Args:
        source: the picture. found: in it. names: of classes; others are drawn as numbers.
        target: the file to write, in the format of its suffix.

    Raises:
        FileLookupError: the picture is not there. DataError: it cannot be read, or `target` not written.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise DataError(missing("drawing on pictures", "Pillow", "image")) from None
    pixels = image.read(source, True).pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
    pen = ImageDraw.Draw(picture)
    line = max(round(min(picture.size) / 200), 1)
    for each in reversed(found):  # the best on top
        color = _color(each.label)
        pen.rectangle(each.box, outline=color, width=line)
        text = f"{names.get(each.label, each.label)} {each.score:.2f}"
        left, top = each.box[0] + line, max(each.box[1] - 12, 0)
        pen.rectangle(pen.textbbox((left, top), text), fill=color)
        pen.text((left, top), text, fill="black")
    with atomic_path(target, error=DataError) as path:
        picture.save(path, Image.registered_extensions().get(target.suffix.lower(), "PNG"))


def _color(label: int) -> tuple[int, int, int]:
    """A light colour for a class; classes next to each other get quite different ones."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.381966 % 1, 0.6, 1)
    return round(red * 255), round(green * 255), round(blue * 255)

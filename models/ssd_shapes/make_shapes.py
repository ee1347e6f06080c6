"""Draws pictures with one to three shapes each and writes them as databases: `python make_shapes.py`.

The databases, shapes_train_lmdb and shapes_test_lmdb, hold AnnotatedDatum records, as AnnotatedData reads
them. They are the same on every machine with the same Pillow. Needs Pillow.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

SIDE = 96  # of a picture, in pixels
LEAST, MOST = 20, 48  # of a shape's sides
CLASSES = ("circle", "square", "triangle")  # 1, 2 and 3; 0 is the background
COUNTS = {"train": 1500, "test": 300}
Box = tuple[int, int, int, int]


def main() -> None:
    """Writes both databases into this folder."""
    for name, count in COUNTS.items():
        path = Path(__file__).parent / f"shapes_{name}_lmdb"
        print(f"{path}: {write_lmdb(path, records(name, count))} records")


def records(name: str, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and AnnotatedDatum messages of a database."""
    draws = random.Random(f"shapes {name}")
    for i in range(count):
        yield b"%08d" % i, record(draws).SerializeToString()


def record(draws: random.Random) -> caffe_pb2.AnnotatedDatum:
    """One picture with its boxes."""
    picture = Image.new("RGB", (SIDE, SIDE), color(draws, 0, 90))
    pen = ImageDraw.Draw(picture)
    message = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
    boxes: list[Box] = []
    for _ in range(draws.randint(1, 3)):
        box = place(draws, boxes)
        if box is None:
            continue
        boxes.append(box)
        label = draws.randint(1, len(CLASSES))
        draw_shape(pen, CLASSES[label - 1], box, color(draws, 120, 255))
        annotate(message, label, box)
    file = io.BytesIO()
    picture.save(file, "PNG")
    message.datum.CopyFrom(
        caffe_pb2.Datum(channels=3, height=SIDE, width=SIDE, data=file.getvalue(), encoded=True)
    )
    return message


def color(draws: random.Random, low: int, high: int) -> tuple[int, int, int]:
    """A colour whose channels are all between two values."""
    return draws.randint(low, high), draws.randint(low, high), draws.randint(low, high)


def place(draws: random.Random, others: list[Box]) -> Box | None:
    """A box for a shape that stays clear of the others; None where twenty tries have found none."""
    for _ in range(20):
        side = draws.randint(LEAST, MOST)
        x, y = draws.randint(0, SIDE - side), draws.randint(0, SIDE - side)
        box = (x, y, x + side, y + side)
        if all(box[0] > o[2] or o[0] > box[2] or box[1] > o[3] or o[1] > box[3] for o in others):
            return box
    return None


def draw_shape(pen: ImageDraw.ImageDraw, kind: str, box: Box, fill: tuple[int, int, int]) -> None:
    """Draws a shape that fills a box."""
    left, top, right, bottom = box[0], box[1], box[2] - 1, box[3] - 1
    if kind == "circle":
        pen.ellipse((left, top, right, bottom), fill=fill)
    elif kind == "square":
        pen.rectangle((left, top, right, bottom), fill=fill)
    else:
        pen.polygon([((left + right) / 2, top), (right, bottom), (left, bottom)], fill=fill)


def annotate(message: caffe_pb2.AnnotatedDatum, label: int, box: Box) -> None:
    """Adds a shape to a record: to the group of its class, as SSD's tools order them."""
    group = next((g for g in message.annotation_group if g.group_label == label), None)
    if group is None:
        group = message.annotation_group.add(group_label=label)
    xmin, ymin, xmax, ymax = (value / SIDE for value in box)
    annotation = group.annotation.add(instance_id=len(group.annotation))
    annotation.bbox.CopyFrom(caffe_pb2.NormalizedBBox(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax))


if __name__ == "__main__":
    main()

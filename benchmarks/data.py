"""How fast data layers make batches, beside the decoders alone: `python -m benchmarks data`.

Pictures and records are drawn here. The decoders only decode the same bytes, from memory, on as many threads:
Pillow, which ours uses; OpenCV, which Caffe uses, where it is installed.
"""

from __future__ import annotations

import io
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.cli.device_query import _processor
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.kernels import set_num_threads
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

SIZE = 256
PICTURES = 64
DIGITS = 6400
BATCHES_AHEAD = 4
RANDOM = "transform_param { crop_size: 227 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }"
# Title, layer, images of a batch, whether a decoder is at work.
WORKS = [
    (
        "Data: MNIST, raw records of an LMDB",
        'type: "Data" transform_param { scale: 0.00390625 } '
        'data_param { source: "digits" backend: LMDB batch_size: 64 }',
        64,
        False,
    ),
    (
        f"Data: JPEG, {SIZE}x{SIZE}, records of an LMDB; random crop and mirror",
        f'type: "Data" {RANDOM} data_param {{ source: "jpegs" backend: LMDB batch_size: 32 }}',
        32,
        True,
    ),
    (
        f"ImageData: JPEG, {SIZE}x{SIZE}, files; shuffled, random crop and mirror",
        f'type: "ImageData" {RANDOM} image_data_param {{ source: "list.txt" batch_size: 32 shuffle: true }}',
        32,
        True,
    ),
    (
        f"ImageData: the same, resized to {SIZE * 3 // 2}x{SIZE * 3 // 2} first",
        f'type: "ImageData" {RANDOM} image_data_param {{ source: "list.txt" batch_size: 32 shuffle: true '
        f"new_height: {SIZE * 3 // 2} new_width: {SIZE * 3 // 2} }}",
        32,
        True,
    ),
    (
        f"Data: raw records of an LMDB, {SIZE}x{SIZE}; random crop and mirror",
        f'type: "Data" {RANDOM} data_param {{ source: "raw" backend: LMDB batch_size: 32 }}',
        32,
        False,
    ),
]


def jpegs() -> list[bytes]:
    """Smooth pictures with some noise, of about 20 kB each."""
    from PIL import Image

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    files = []
    for i in range(PICTURES):
        plane = 128 + 60 * np.sin(x / (9 + i)) + 50 * np.cos(y / 7) + rng.normal(0, 8, (SIZE, SIZE))
        pixels = np.stack([plane, plane[::-1], plane.T], axis=2).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def write_files(folder: Path, files: list[bytes]) -> None:
    """Three LMDBs, and a list with its pictures."""
    rng = np.random.default_rng(0)
    digits = [
        caffe_pb2.Datum(channels=1, height=28, width=28, data=rng.bytes(784), label=i % 10)
        for i in range(DIGITS)
    ]
    encoded = [caffe_pb2.Datum(data=file, label=i, encoded=True) for i, file in enumerate(files)]
    raw = [
        caffe_pb2.Datum(channels=3, height=SIZE, width=SIZE, data=rng.bytes(3 * SIZE * SIZE), label=i)
        for i in range(PICTURES)
    ]
    for name, datums in (("digits", digits), ("jpegs", encoded), ("raw", raw)):
        write_lmdb(folder / name, [(b"%08d" % i, d.SerializeToString()) for i, d in enumerate(datums)])
    for i, file in enumerate(files):
        (folder / f"{i}.jpg").write_bytes(file)
    (folder / "list.txt").write_text("".join(f"{i}.jpg {i}\n" for i in range(len(files))))


def data_layer(folder: Path, text: str) -> tuple[Layer, list[Blob]]:
    """A data layer of phase TRAIN, and its tops."""
    random.set_random_seed(1)
    message = parse(f'name: "data" {text}', caffe_pb2.LayerParameter).message
    layer = create_layer(message, LayerContext(folder=folder))
    top = [Blob(), Blob()]
    layer.set_up([], top)
    return layer, top


class Rate(NamedTuple):
    """What was measured of something that makes images.

    Attributes:
        images: in a second.
        cpu: seconds that all threads of this process have run for each image. Where other processes are at
            work, too, only this tells much.
    """

    images: float
    cpu: float


def measured(make: Callable[[], int]) -> Rate:
    """The rate of a function that makes images for a while, and returns how many."""
    start, own = time.perf_counter(), time.process_time()
    count = make()
    return Rate(count / (time.perf_counter() - start), (time.process_time() - own) / max(count, 1))


def loader_rate(folder: Path, text: str, batch: int, seconds: float) -> Rate:
    """The rate of a data layer of which nobody else wants anything."""
    layer, top = data_layer(folder, text)
    for _ in range(2 * BATCHES_AHEAD):
        layer.forward([], top)

    def make() -> int:
        images, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            layer.forward([], top)
            images += batch
        return images

    return measured(make)


def decoder_rate(decode: Callable[[bytes], object], files: list[bytes], threads: int, seconds: float) -> Rate:
    """The rate at which so many threads decode files."""
    counts = [0] * threads

    def work(thread: int, end: float) -> None:
        for file in itertools.cycle(files):
            if time.perf_counter() >= end:
                return
            decode(file)
            counts[thread] += 1

    def make() -> int:
        end = time.perf_counter() + seconds
        workers = [threading.Thread(target=work, args=(i, end)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(counts)

    return measured(make)


def decoders() -> Iterator[tuple[str, Callable[[bytes], object]]]:
    """Pillow, to its own memory and to an array of NumPy; OpenCV where it is installed."""
    from PIL import Image

    yield "Pillow", lambda file: Image.open(io.BytesIO(file)).load()
    yield "Pillow, array", lambda file: np.asarray(Image.open(io.BytesIO(file)))
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)
    yield "OpenCV", lambda file: cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)


def report(threads: int, rounds: int, seconds: float) -> None:
    """Prints a table: medians over the rounds; ratios are medians of those within a round."""
    set_num_threads(threads)
    click.echo(
        f"{_processor()}, {threads} threads, {rounds} rounds; images a second\n"
        "ratio: the loader's rate over the decoder's; CPU: the decoder's CPU time for an image over the "
        "loader's\n"
    )
    names = [name for name, _ in decoders()]
    click.echo("| what | loader |" + "".join(f" {name} | ratio | CPU |" for name in names))
    click.echo("| --- | --- |" + " --- | --- | --- |" * len(names))
    files = jpegs()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, files)
        for title, text, batch, decodes in WORKS:
            ours: list[Rate] = []
            others: dict[str, list[Rate]] = {}
            for _ in range(rounds):
                for other, decode in decoders() if decodes else ():
                    others.setdefault(other, []).append(decoder_rate(decode, files, threads, seconds))
                ours.append(loader_rate(folder, text, batch, seconds))
            cells = [title, f"{statistics.median(rate.images for rate in ours):.0f}"]
            for other in names:
                rates = others.get(other)
                if rates is None:
                    cells += ["-", "-", "-"]
                    continue
                pairs = list(zip(ours, rates, strict=True))
                cells.append(f"{statistics.median(rate.images for rate in rates):.0f}")
                cells.append(f"{statistics.median(a.images / b.images for a, b in pairs):.2f}")
                cells.append(f"{statistics.median(b.cpu / a.cpu for a, b in pairs):.2f}")
            click.echo("| " + " | ".join(cells) + " |")

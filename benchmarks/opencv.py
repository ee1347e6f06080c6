"""A Caffe model here and in OpenCV's dnn module: `python -m benchmarks.opencv --help`.

Each measurement runs in a process of its own, ours and OpenCV's in turn. OpenCV has to be one of those that
read Caffe's files, 4.12 or older: `pip install opencv-python-headless==4.12.0.88`.
"""

from __future__ import annotations

import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable

import click
import numpy as np

import pycaffe_lite as caffe

WARM_UP = 8
LEAST_PASSES = 10


def ours(net_file: str, weights: str, shape: tuple[int, ...], threads: int) -> Callable[[], object]:
    """A function that sets the net's input and runs it forward."""
    caffe.set_num_threads(threads)
    net = caffe.Net(net_file, caffe.TEST, weights=weights)
    blob = net.blobs[net.inputs[0]]
    if shape:
        blob.reshape(*shape)
        net.reshape()
    image = np.random.default_rng(0).random(blob.shape, np.float32)

    def step() -> object:
        blob.data[...] = image
        return net.forward()

    return step


def opencvs(net_file: str, weights: str, shape: tuple[int, ...], threads: int) -> Callable[[], object]:
    """The same by OpenCV."""
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromCaffe(net_file, weights)
    outputs = net.getUnconnectedOutLayersNames()
    own = caffe.Net(net_file, caffe.TEST)
    name = own.inputs[0]
    image = np.random.default_rng(0).random(shape or own.blobs[name].shape, np.float32)

    def step() -> object:
        net.setInput(image, name)
        return net.forward(outputs)

    return step


SIDES = {"ours": ours, "OpenCV": opencvs}


def milliseconds(
    side: str, net_file: str, weights: str, shape: tuple[int, ...], threads: int, seconds: float
) -> float:
    """The median time of a forward pass."""
    logging.disable(logging.WARNING)
    step = SIDES[side](net_file, weights, shape, threads)
    for _ in range(WARM_UP):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < LEAST_PASSES:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


@click.command()
@click.argument("net_file", metavar="NET")
@click.argument("weights")
@click.option("--shape", default="", help="Of the input, where it is not the prototxt's: 1,3,384,384.")
@click.option("--threads", type=int, default=2, show_default=True)
@click.option("--rounds", type=int, default=3, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of each measurement.")
def main(net_file: str, weights: str, shape: str, threads: int, rounds: int, seconds: float) -> None:
    """Prints the medians of a forward pass in milliseconds, and OpenCV's time by ours."""
    axes = tuple(int(n) for n in shape.split(",") if n)
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for i in range(rounds):
        for side in sorted(SIDES, reverse=i % 2 == 1):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                arguments = (side, net_file, weights, axes, threads, seconds)
                times[side].append(pool.apply(milliseconds, arguments))
    medians = {side: statistics.median(values) for side, values in times.items()}
    ratio = statistics.median(b / a for a, b in zip(times["ours"], times["OpenCV"], strict=True))
    click.echo(f"ours {medians['ours']:.3f} ms, OpenCV {medians['OpenCV']:.3f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()

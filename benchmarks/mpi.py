"""Several ranks: on one machine, on two hosts that network namespaces stand for, and on hosts not there.

`python -m benchmarks mpi` prints the tables of docs/several-machines.md. Two hosts need root and iproute2.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import click

from benchmarks.mpi_rank import MESSAGES
from benchmarks.two_hosts import NotAllowedError, two_hosts
from benchmarks.works import BY_NAME
from pycaffe_lite.distributed.launcher import launch_command
from pycaffe_lite.distributed.reduction import (
    LEAST_BUCKET,
    LEAST_BUCKETS,
    MOST_BUCKET,
    MOST_BUCKETS,
    PAUSE,
    WORTH,
)

TRAINED = ("lenet-train", "cifar-train", "caffenet-train")
SIZES = (4_194_304, 243_860_928)  # bytes
RATES = (("none", None), ("1 Gbit/s", "1gbit"), ("100 Mbit/s", "100mbit"))
ROUNDS = 3
HOSTS = (8, 64, 1024)
GIGABITS = (1, 10, 100)
# Bytes of gradients, and images of a batch, of the nets that are predicted.
RESNET_BYTES, RESNET_BATCH = 102_228_128, 16


def run(command: Sequence[str], *arguments: object) -> dict[str, float]:
    """What one rank program reports."""
    program = [sys.executable, "-m", "benchmarks.mpi_rank", *map(str, arguments)]
    done = subprocess.run([*command, *program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(heading: str, rows: Sequence[Sequence[object]]) -> None:
    """Prints a table."""
    click.echo(f"\n{heading}\n|" + " --- |" * (heading.count("|") - 1))
    for row in rows:
        click.echo("| " + " | ".join(map(str, row)) + " |")


# ------------------------------------------------------------------------------------------------ the model


class Model(NamedTuple):
    """How long an iteration takes on N hosts.

        sending  = buckets · 2 · (latency + (N - 1) · message) + volume · max(1 / (share · rate), handling)
        volume   = 2 (N - 1) / N · bytes of gradients
        time     = compute + sending - hidden · min(backward, sending)

    Attributes:
        latency: seconds that each of a bucket's two steps takes besides its messages and bytes.
        message: seconds that one of many messages takes besides its bytes.
        share: of the network's nominal rate that arrives.
        handling: seconds a byte takes in the processor: copied, sent, added.
        hidden: the part of the shorter of backward and sending that overlap hides.
    """

    latency: float
    message: float
    share: float
    handling: float
    hidden: float

    def sending(self, size: float, hosts: int, rate: float) -> float:
        """Seconds. size: bytes of gradients. rate: bytes a second."""
        per_byte = max(1 / (self.share * rate), self.handling)
        empty = 2 * (self.latency + (hosts - 1) * self.message)
        wanted = WORTH * (empty + 2 * PAUSE) / per_byte
        largest = min(MOST_BUCKET, max(LEAST_BUCKET, size / LEAST_BUCKETS))
        bucket = min(max(wanted, LEAST_BUCKET, size / MOST_BUCKETS), largest)
        volume = 2 * (hosts - 1) / hosts * size
        return math.ceil(size / bucket) * empty + volume * per_byte

    def time(self, compute: float, backward: float, size: float, hosts: int, rate: float) -> float:
        """Seconds of an iteration. compute: of one host alone, with its backward pass."""
        sending = self.sending(size, hosts, rate)
        return compute + sending - self.hidden * min(backward, sending)


def fit(measured: dict[tuple[str, str], dict[str, float]]) -> Model:
    """The model's numbers, from the measurements on two hosts, by work and rate."""
    large, free = "caffenet-train", measured["caffenet-train", "none"]
    handling = free["transfer"] / 1e3 / free["bytes"]
    slow = [(measured[large, name], mbit) for name, mbit in (("1 Gbit/s", 1000), ("100 Mbit/s", 100))]
    share = sum(m["bytes"] / (m["transfer"] / 1e3) / (mbit * 125e3) for m, mbit in slow) / len(slow)
    small = measured["lenet-train", "none"]
    buckets = math.ceil(small["bytes"] / small["bucket"])
    latency = max(small["transfer"] / 1e3 - small["bytes"] * handling, 0) / buckets / 2
    message = small["messages"] / 1e3 / MESSAGES
    hidden = [min(max(m["hidden"], 0.0), 1.0) for m, _ in slow]
    return Model(latency, message, share, handling, sum(hidden) / len(hidden))


# --------------------------------------------------------------------------------------------------- report


def one_machine(seconds: float) -> None:
    """One rank on two cores beside two ranks on one each, and averaging alone."""
    rows: list[Sequence[object]] = []
    for name in TRAINED:
        batch = BY_NAME[name].batch
        pairs = []
        for _ in range(ROUNDS):
            one = run(launch_command(1, ""), name, 2, seconds)["alone"]
            two = run(launch_command(2, ""), name, 1, seconds)["together"]
            pairs.append((batch / one * 1e3, 2 * batch / two * 1e3))
        speeds = [f"{statistics.median(column):.0f}" for column in zip(*pairs, strict=True)]
        ratio = statistics.median(two / one for one, two in pairs)
        rows.append([BY_NAME[name].title, *speeds, f"{ratio:.2f}"])
    table("| net | 1 rank x 2 threads, images/s | 2 ranks x 1 thread | ratio |", rows)
    rows = []
    for size in SIZES:
        found = run(launch_command(2, ""), "all-reduce", size, seconds)
        rows.append([f"{size / 1e6:.0f} MB", f"{found['MPI']:.2f}", f"{found['ours']:.2f}"])
    table("| all-reduce, 2 ranks | MPI's own, ms | in the order of the ranks, ms |", rows)


def hosts(seconds: float) -> Model | None:
    """Two hosts, at several rates; returns the model fitted to them."""
    rows: list[Sequence[object]] = []
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lenet-train", "caffenet-train"):
            for title, rate in RATES:
                try:
                    with two_hosts(folder, rate) as (_, command):
                        found = run([*command, "-n", "2"], name, 1, seconds)
                except NotAllowedError as error:
                    click.echo(f"\nno two hosts here: {error}")
                    return None
                measured[name, title] = found
                columns = ("alone", "together", "one after the other", "backward", "transfer")
                times = [f"{found[column]:.0f}" for column in columns]
                rows.append([BY_NAME[name].title, title, *times, f"{max(found['hidden'], 0):.0%}"])
    heading = "| net | limit | 1 rank, ms | 2 hosts | without overlap | backward | transfer | hidden |"
    table(heading, rows)
    return fit(measured)


def predictions(model: Model, seconds: float) -> None:
    """What the model says of more hosts and faster networks: how many hosts' work they do."""
    click.echo(
        f"\nlatency {1e6 * model.latency:.0f} us, a message {1e6 * model.message:.1f} us, "
        f"{model.share:.0%} of the rate, "
        f"{1e9 * model.handling:.2f} ns a byte, {model.hidden:.0%} hidden"
    )
    nets = []
    for name in ("lenet-train", "caffenet-train"):
        found = run(launch_command(1, ""), name, 2, seconds)
        size = {"lenet-train": 1_724_608, "caffenet-train": SIZES[1]}[name]
        nets.append((BY_NAME[name].title, found["alone"] / 1e3, found["backward"] / 1e3, size))
    # A training step does three times the products of a forward pass, two of them backward.
    forward = run(launch_command(1, ""), "resnet50-1", 2, seconds)["forward"] * RESNET_BATCH / 1e3
    nets.append((f"ResNet-50, batch {RESNET_BATCH}, train step", 3 * forward, 2 * forward, RESNET_BYTES))
    rows = []
    for title, compute, backward, size in nets:
        for gigabit in GIGABITS:
            speeds = [n * compute / model.time(compute, backward, size, n, gigabit * 125e6) for n in HOSTS]
            rows.append([title, f"{gigabit} Gbit/s", *(f"{speed:.1f}" for speed in speeds)])
    table("| net | network | " + " | ".join(f"{n} hosts" for n in HOSTS) + " |", rows)


def report(seconds: float) -> None:
    """Prints all tables."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    one_machine(seconds)
    if (model := hosts(seconds)) is not None:
        predictions(model, seconds)

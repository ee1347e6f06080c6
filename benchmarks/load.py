"""Small nets beside other programs: `python -m benchmarks.load --help`.

Each measurement runs in a process of its own beside so many programs that do nothing but count, with one
thread and with more in turn: on a shared machine only the comparison of the two means something.
"""

from __future__ import annotations

import logging
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks import ours
from benchmarks.works import BY_NAME, Work
from pycaffe_lite.cli.device_query import _processor
from pycaffe_lite.kernels import available_cores

PROPOSAL_NET = str(Path(__file__).with_name("proposal_net.prototxt"))
WORKS = {
    "LeNet": BY_NAME["lenet-1"],
    "proposal net": Work("proposal-1", PROPOSAL_NET, 1, False, (3, 160, 200)),
    "SqueezeNet": BY_NAME["squeezenet-1"],
}
WARM_UP = 10
BUSY = "while True: pass"
POLITE = f"import os\nos.nice(19)\n{BUSY}"
HEADER = (
    "| busy loops | net | 1 thread: median | mean | {} threads: median | mean | ratio of medians | of means |"
)


def milliseconds(work: Work, threads: int, seconds: float) -> list[float]:
    """The times of one forward pass after another."""
    logging.disable(logging.WARNING)
    step = ours.prepare(work, threads)
    for _ in range(WARM_UP):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


@contextmanager
def busy_loops(count: int, polite: bool) -> Iterator[None]:
    """Programs that want a core each, all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", POLITE if polite else BUSY]) for _ in range(count)]
    try:
        time.sleep(0.3)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@click.command()
@click.option("--loads", default="0,2,8", show_default=True, help="Numbers of busy loops.")
@click.option("--threads", type=int, default=max(2, available_cores()), show_default=True)
@click.option("--rounds", type=int, default=3, show_default=True)
@click.option("--seconds", type=float, default=2.0, show_default=True, help="Of each measurement.")
def main(loads: str, threads: int, rounds: int, seconds: float) -> None:
    """Prints a table: milliseconds of a forward pass, over all rounds, and what more threads make of them."""
    click.echo(f"{_processor()}, {available_cores()} cores, {rounds} rounds\n")
    header = HEADER.format(threads)
    click.echo(header)
    click.echo("|" + " --- |" * (header.count("|") - 1))
    for count in map(int, loads.split(",")):
        for polite in (False, True) if count else (False,):
            for name, work in WORKS.items():
                with busy_loops(count, polite):
                    cells = row(work, threads, rounds, seconds)
                load = f"{count} of low priority" if polite else str(count)
                click.echo("| " + " | ".join([load, name, *cells]) + " |")


def row(work: Work, threads: int, rounds: int, seconds: float) -> list[str]:
    """What the table says of one net beside the loops that run now."""
    times: dict[int, list[float]] = {1: [], threads: []}
    for _ in range(rounds):
        for count in times:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                times[count] += pool.apply(milliseconds, (work, count, seconds))
    medians = [statistics.median(one) for one in times.values()]
    means = [statistics.fmean(one) for one in times.values()]
    cells = [f"{value:.3f}" for pair in zip(medians, means, strict=True) for value in pair]
    return [*cells, f"{medians[1] / medians[0]:.2f}", f"{means[1] / means[0]:.2f}"]


if __name__ == "__main__":
    main()

"""Measures pycaffe-lite, PyTorch and ONNX Runtime on the same work: `python -m benchmarks --help`.

Every rival runs in processes of its own, in turn, round after round: on a shared machine only ratios within
a round mean something. Needs the extra: `pip install -e .[bench]`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import click

from benchmarks import data, mpi
from benchmarks.net_files import build, flops
from benchmarks.works import BY_NAME, WORKS, Work
from pycaffe_lite.cli.device_query import _processor
from pycaffe_lite.kernels import available_cores

DATA, MPI = "data", "mpi"
HEADER = "| work | ours ms | PyTorch ms | ratio | ONNX Runtime ms | ratio | GFLOP/s | of FMA peak |"


def measure(rival: str, work: str, threads: int, seconds: float) -> dict[str, float]:
    """Runs one worker process to its end."""
    arguments = [rival, work, str(threads), str(seconds)]
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **dict.fromkeys(variables, str(threads))},
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{rival} failed on {work}:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


@click.command()
@click.argument("names", nargs=-1, metavar="[WORK]...", type=click.Choice([*BY_NAME, DATA, MPI]))
@click.option("--threads", type=int, default=available_cores(), show_default=True)
@click.option("--rounds", type=int, default=5, show_default=True)
@click.option("--seconds", type=float, default=2.0, show_default=True, help="Of each measurement.")
@click.option("--rivals", default="torch,onnx", show_default=True, help="Whom to measure against.")
def main(names: tuple[str, ...], threads: int, rounds: int, seconds: float, rivals: str) -> None:
    """Prints a table: medians over the rounds, and the median ratio of each rival's time to ours.

    Two works stand for themselves: `data`, how fast data layers make batches, beside decoders of pictures;
    and `mpi`, several ranks.
    """
    if MPI in names:
        mpi.report(seconds)
        names = tuple(name for name in names if name != MPI)
        if not names:
            return
    if DATA in names:
        data.report(threads, rounds, seconds)
        names = tuple(name for name in names if name != DATA)
        if not names:
            return
    works = [BY_NAME[name] for name in names] or WORKS
    others = [rival for rival in rivals.split(",") if rival]
    peak = statistics.median(measure("peak", "-", threads, 0)["gflops"] for _ in range(3))
    click.echo(f"{_processor()}, {threads} threads, FMA peak {peak:.0f} GFLOP/s, {rounds} rounds\n")
    click.echo(HEADER)
    click.echo("|" + " --- |" * HEADER.count(" |"))
    for work in works:
        click.echo(row(work, others, threads, rounds, seconds))


def row(work: Work, rivals: list[str], threads: int, rounds: int, seconds: float) -> str:
    """One line of the table; shares of the peak, too, are medians over the rounds: it is measured in each."""
    times: dict[str, list[float]] = {rival: [] for rival in ("ours", *rivals)}
    peaks: list[float] = []
    if work.train:
        times.pop("onnx", None)  # it does not train
    for _ in range(rounds):
        for rival in times:
            result = measure(rival, work.name, threads, seconds)
            times[rival].append(result["ms"])
            peaks += [result["peak"]] if rival == "ours" else []
    cells = [work.title, f"{statistics.median(times['ours']):.2f}"]
    for rival in ("torch", "onnx"):
        if rival in times:
            ratio = statistics.median(b / a for a, b in zip(times["ours"], times[rival], strict=True))
            cells += [f"{statistics.median(times[rival]):.2f}", f"{ratio:.2f}"]
        else:
            cells += ["-", "-"]
    gigaflops = flops(build(work), work.train) / 1e6
    share = statistics.median(gigaflops / t / peak for t, peak in zip(times["ours"], peaks, strict=True))
    cells += [f"{gigaflops / statistics.median(times['ours']):.0f}", f"{100 * share:.0f} %"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

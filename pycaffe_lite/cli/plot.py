"""`pycaffe-lite plot`: training logs as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo
from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.solver.curves import read_curves
from pycaffe_lite.view.curves import draw
from pycaffe_lite.view.traces import CHARTS, Choice, Run

_CHART_LIST = "; ".join(f"{number}: {title}" for number, (title, _) in CHARTS.items())


@click.command("plot", cls=CaffeCommand)
@click.argument("logs", metavar="LOG|FOLDER...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.argument("picture", metavar="PICTURE", type=click.Path(path_type=Path))
@click.option("--title", metavar="TEXT", default="", help="Heading of the picture.")
@click.option(
    "--output",
    "outputs",
    metavar="NAME",
    multiple=True,
    help="Draw only this output; may be given several times.",
)
@click.option("--seconds", is_flag=True, help="Draw over the time since training began.")
@click.option(
    "--smooth",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Points of a training loss that are taken together; 1 for none.  [default: a share of 3%]",
)
@click.option(
    "--chart",
    type=click.IntRange(0, len(CHARTS) - 1),
    metavar="0-7",
    help=f"One of the charts of Caffe's plot_training_log: {_CHART_LIST}.",
)
def command(
    logs: tuple[Path, ...],
    picture: Path,
    title: str,
    outputs: tuple[str, ...],
    seconds: bool,
    smooth: int | None,
    chart: int | None,
) -> None:
    """Draws the curves of training runs.

    LOG is a log of ours, of Caffe or of one of its forks; a FOLDER stands for the logs in it. PICTURE is the
    file to write: .png, .svg or .pdf. Losses, other outputs such as accuracies, and the learning rate have a
    panel each. Training losses are smoothed, with what was logged in a faint line behind. If a log holds
    several runs, each resuming the one before, a later run replaces what it repeats.
    """
    choice = Choice(by_seconds=seconds)
    if chart is not None:
        heading, choice = CHARTS[chart]
        title = title or heading
    choice = replace(choice, outputs=outputs, smooth=smooth or choice.smooth)
    draw(list(_runs(logs)), picture, title, choice)
    echo(f"wrote {picture}")


def _runs(paths: Sequence[Path]) -> Iterator[Run]:
    """The runs of logs, and of the logs in folders; a name tells each from the others."""
    files = [file for path in paths for file in (_logs_in(path) if path.is_dir() else [path])]
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    for name, file in zip(names, files, strict=True):
        yield Run(name, read_curves(file))


def _logs_in(folder: Path) -> list[Path]:
    """The files of a folder that hold curves, by name; those that end in .log, or any."""
    found = []
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        if ".log" in file.suffixes or file.suffix in ("", ".txt"):
            try:
                read_curves(file)
            except PycaffeError:
                continue
            found.append(file)
    if not found:
        raise DataError(f"no file in folder '{folder}' is the log of a training")
    return found

"""`pycaffe-lite plot`: a training log as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo
from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.extras import missing
from pycaffe_lite.io.files import atomic_path
from pycaffe_lite.solver.curves import Curve, Curves, read_curves


@click.command("plot", cls=CaffeCommand)
@click.argument("log_file", metavar="LOG", type=click.Path(path_type=Path))
@click.argument("picture", metavar="PICTURE", type=click.Path(path_type=Path))
@click.option("--title", metavar="TEXT", default="", help="Heading of the picture.")
def command(log_file: Path, picture: Path, title: str) -> None:
    """Draws the curves of a training log.

    LOG is a log of ours or of Caffe's, PICTURE the file to write: .png, .svg or .pdf.
    """
    draw(read_curves(log_file), picture, title)
    echo(f"wrote {picture}")


def draw(curves: Curves, picture: Path, title: str) -> None:
    """Losses against the left axis (logarithmic), other test outputs, as accuracy, against the right."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        raise PycaffeError(missing("drawing", "matplotlib", "plot")) from None
    figure, losses = pyplot.subplots(figsize=(8, 4.5), dpi=120)
    others = losses.twinx()
    for phase, table, line in (("train", curves.train, "-"), ("test", curves.test, "--")):
        for name, curve in table.items():
            if "loss" in name.lower():
                losses.plot(*_axes(curve), line, label=f"{phase} {name}", color=_shade(phase), linewidth=1.2)
            else:
                others.plot(*_axes(curve), "o-", label=f"{phase} {name}", color="tab:green", markersize=3)
    losses.set_xlabel("iteration")
    losses.set_ylabel("loss")
    losses.set_yscale("log")
    losses.grid(alpha=0.3)
    lines = losses.get_lines() + others.get_lines()
    others.legend(lines, [line.get_label() for line in lines], loc="center right")
    others.set_ylabel(", ".join(name for name in curves.test if "loss" not in name.lower()))
    if title:
        losses.set_title(title)
    figure.tight_layout()
    try:
        with atomic_path(picture, error=DataError) as temporary:
            figure.savefig(temporary, format=picture.suffix.lstrip(".") or "png")
    except ValueError as error:
        raise DataError(f"cannot draw '{picture}': {error}") from None
    finally:
        pyplot.close(figure)


def _axes(curve: Curve) -> tuple[list[int], list[float]]:
    return [i for i, _ in curve], [value for _, value in curve]


def _shade(phase: str) -> str:
    return "tab:blue" if phase == "train" else "tab:orange"

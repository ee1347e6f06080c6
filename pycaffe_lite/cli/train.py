"""`pycaffe-lite train`: runs a solver prototxt."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from pycaffe_lite import glog
from pycaffe_lite.cli.options import (
    caffe_option,
    gpu_option,
    net_state_options,
    one_of,
    split_names,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import say_mode, start_log
from pycaffe_lite.cli.progress import watch
from pycaffe_lite.cli.signals import EFFECTS, SignalRequests
from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, read_solver
from pycaffe_lite.solver import find_latest_snapshot, get_solver

log = logging.getLogger(__name__)


@click.command("train")
@click.argument("solver_argument", metavar="[SOLVER]", required=False)
@caffe_option("solver", metavar="FILE", help="The solver's prototxt; the same as the argument.")
@caffe_option(
    "weights", default="", metavar="FILES", help="Weights to fine-tune from, comma-separated files."
)
@caffe_option(
    "snapshot", default="", metavar="FILE", help="A .solverstate to resume from, or `latest`."
)
@caffe_option(
    "sigint_effect",
    type=click.Choice(EFFECTS),
    default="stop",
    show_default=True,
    help="What Ctrl-C does after the iteration under way; a second one stops at once.",
)
@caffe_option(
    "sighup_effect",
    type=click.Choice(EFFECTS),
    default="snapshot",
    show_default=True,
    help="What SIGHUP does after the iteration under way.",
)
@click.option(
    "--on-nan",
    type=click.Choice(["stop", "warn", "ignore"]),
    default="stop",
    show_default=True,
    help="What to do when the loss or a weight becomes infinite or NaN.",
)
@caffe_option("log_file", type=click.Path(path_type=Path), help="Write Caffe's log to this file too.")
@net_state_options
@gpu_option
@threads_option
@strict_option
def command(
    solver_argument: str | None,
    solver: str | None,
    weights: str,
    snapshot: str,
    sigint_effect: str,
    sighup_effect: str,
    on_nan: str,
    log_file: Path | None,
    level: int,
    stage: str,
    gpu: str,
    strict: bool,
) -> None:
    """Trains the net of SOLVER and prints the last test's results."""
    if snapshot and weights:
        raise click.UsageError("give --snapshot to resume or --weights to fine-tune, not both")
    file = one_of(solver, solver_argument, "solver")
    start_log()
    if log_file is not None:
        glog.log_to_file(log_file)
    say_mode(gpu)
    document = _settings(read_solver(file, strict=strict), level, stage, weights, bool(snapshot))
    requests = SignalRequests(sigint_effect, sighup_effect)
    runner = get_solver(document, strict=strict, action_request=requests.next_action, on_nan=on_nan)
    if snapshot == "latest":
        snapshot = str(_latest(document.message.snapshot_prefix))
    if snapshot:
        log.info("Resuming from %s", snapshot)
        runner.restore(snapshot)
    log.info("Starting Optimization")
    with requests.handled(), watch(runner):
        runner.solve()
    log.info("Optimization Done.")
    for scores in runner.last_test_scores.values():
        for score in scores:
            click.echo(str(score))


def _settings(
    document: Document[caffe_pb2.SolverParameter], level: int, stage: str, weights: str, resuming: bool
) -> Document[caffe_pb2.SolverParameter]:
    """Puts the command line's part into the solver's settings, as Caffe's command does.

    Level and stages always go into the train state, so they overrule the net's own level and add an empty
    stage. Weights given here replace the solver's own; resuming drops these.
    """
    param = document.message
    param.train_state.level = level
    param.train_state.stage.extend(split_names(stage))
    if weights or resuming:
        del param.weights[:]
    if weights:
        param.weights.append(weights)
    return document


def _latest(prefix: str) -> Path:
    path = find_latest_snapshot(prefix)
    if path is None:
        raise SnapshotError(f"there is no complete snapshot '{prefix}_iter_*.solverstate' to resume from")
    return path

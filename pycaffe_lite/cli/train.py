"""`pycaffe-lite train`: runs a solver prototxt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.dashboard import page_of
from pycaffe_lite.cli.nets import check_layers
from pycaffe_lite.cli.options import (
    OptionalNumber,
    gpu_option,
    max_pixels_option,
    net_state_options,
    one_of,
    split_names,
    strict_option,
    threads_option,
    timeline_option,
)
from pycaffe_lite.cli.output import echo, interactive, notice, say, say_mode, start_log
from pycaffe_lite.cli.progress import watch
from pycaffe_lite.cli.ranks import (
    file_of_rank,
    ranks_options,
    say_ranks,
    several_ranks,
    start_ranks,
    training_ranks_options,
)
from pycaffe_lite.cli.signals import EFFECTS, SignalRequests
from pycaffe_lite.distributed.ranks import MpiRanks
from pycaffe_lite.errors import FileLookupError, PycaffeError, SnapshotError, SolverError
from pycaffe_lite.formats.atomic import set_aside
from pycaffe_lite.kernels import Stretch
from pycaffe_lite.net.evaluate import Scores
from pycaffe_lite.net.weights import fresh_in_all
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.forks import FORKS
from pycaffe_lite.proto.prototxt import Document, read_solver
from pycaffe_lite.solver import Solver, find_latest_snapshot, get_solver
from pycaffe_lite.view.event_files import EventWriter
from pycaffe_lite.view.speed import images_of_rank
from pycaffe_lite.view.trace_events import ITERATIONS_BEFORE, IterationTracer, write_trace

log = logging.getLogger(__name__)

_TERMINATED = 143  # as shells have it: 128 + SIGTERM
_MOST_NAMES = 20


def _fork_of(ctx: click.Context, option: click.Parameter, name: str | None) -> str | None:
    """The fork that a name on the command line means, in whatever letters."""
    by_name = {fork.lower(): fork for fork in FORKS}
    if name is not None and name.lower() not in by_name:
        raise click.BadParameter(f"unknown fork '{name}' (known: {', '.join(FORKS)})")
    return by_name[name.lower()] if name is not None else None


@click.command("train", cls=CaffeCommand)
@click.argument("solver_argument", metavar="SOLVER", required=False)
@click.option("--solver", metavar="FILE", help="The solver's prototxt; the same as the argument.")
@click.option(
    "--weights", default="", metavar="FILES", help="Weights to fine-tune: .caffemodel files, comma-separated."
)
@click.option(
    "--snapshot",
    default="",
    metavar="FILE",
    help="Resume from this .solverstate; 'latest': from the newest complete one of the solver.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="With --snapshot: refuse to resume if anything would not go on exactly where it stopped.",
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the newest N snapshots of this run and remove its older ones.  [default: all]",
)
@click.option(
    "--for",
    "fork",
    metavar="FORK",
    callback=_fork_of,
    help="The fork of Caffe that shall read the weights, SSD or SegNet for instance, if the net has layers "
    "that only forks have.  [default: the first that has them all]",
)
@click.option(
    "--log-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write Caffe's log to this file too; with --snapshot, append to it. An earlier run's log is kept: "
    "as FILE.1, FILE.2, ...",
)
@click.option(
    "--sigint-effect",
    type=click.Choice(EFFECTS),
    default="stop",
    show_default=True,
    help="What Ctrl-C does after the iteration under way. If that stops, a second one stops at once.",
)
@click.option(
    "--sighup-effect",
    type=click.Choice(EFFECTS),
    default="snapshot",
    show_default=True,
    help="What the signal SIGHUP does after the iteration under way.",
)
@click.option(
    "--on-nan",
    type=click.Choice(["stop", "warn", "ignore"]),
    default="stop",
    show_default=True,
    help="What to do when the loss or a weight becomes infinite or NaN.",
)
@click.option(
    "--batch",
    type=click.Choice(["whole", "split"]),
    default="whole",
    show_default=True,
    help="On several ranks: each runs the prototxt's batch_size, as in Caffe, or its part of it.",
)
@ranks_options
@training_ranks_options
@click.option(
    "--dashboard",
    cls=OptionalNumber,
    type=click.IntRange(0, 65535),
    metavar="[PORT]",
    help="Show the training on a page of this machine's browser, and keep what it shows beside the "
    "snapshots, see 'pycaffe-lite dashboard'.  [default port: a free one]",
)
@click.option(
    "--tensorboard",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write losses, other outputs, learning rate and speed, and at tests how weights and gradients are "
    "spread, as event files for TensorBoard.",
)
@timeline_option("of an iteration after the first few")
@net_state_options
@gpu_option
@threads_option
@max_pixels_option
@strict_option
def command(
    solver_argument: str | None,
    solver: str | None,
    weights: str,
    snapshot: str,
    exact: bool,
    keep: int | None,
    fork: str | None,
    log_file: Path | None,
    sigint_effect: str,
    sighup_effect: str,
    on_nan: str,
    batch: str,
    dashboard: int | None,
    tensorboard: Path | None,
    timeline: Path | None,
    level: int,
    stage: str,
    gpu: str,
    strict: bool,
) -> None:
    """Trains a net.

    The prototxt SOLVER names the net and says how to train it, and when to test it and to save snapshots.
    In a terminal a progress bar shows the run, with test results above it; redirected, stderr gets Caffe's
    log. The results of a test at the end go to stdout.

    Ctrl-C stops after the iteration and saves a snapshot; so does SIGTERM, with exit status 143.

    --ranks N, or an MPI launcher ('mpiexec -n N pycaffe-lite train ...', srun), trains on N processes: each
    computes gradients on records of its own, all take the step of their mean.
    """
    file = one_of(solver, solver_argument, "solver")
    if snapshot and weights:
        raise click.UsageError("Give --snapshot to resume or --weights to fine-tune, not both.")
    if exact and not snapshot:
        raise click.UsageError("--exact says how to resume: give --snapshot too.")

    def latest(since: float) -> Path | None:
        found = find_latest_snapshot(read_solver(file, strict=strict).message.snapshot_prefix)
        return found if found is not None and found.stat().st_mtime >= since else None

    start_ranks(latest)
    with several_ranks() as ranks:
        if log_file is not None:
            log_file = file_of_rank(log_file, ranks)
        _start_log(log_file, bool(snapshot))
        say_mode(gpu, ranks.count if ranks else 1)
        document = _settings(read_solver(file, strict=strict), level, stage, weights, bool(snapshot))
        is_first = ranks is None or ranks.rank == 0
        _train(
            file,
            document,
            snapshot,
            SignalRequests(sigint_effect, sighup_effect),
            exact=exact,
            ranks=ranks,
            views=partial(_views, dashboard, tensorboard, timeline, log_file) if is_first else _no_views,
            strict=strict,
            on_nan=on_nan,
            fork=fork,
            keep=keep,
            split_batch=batch == "split",
        )


def _start_log(log_file: Path | None, append: bool) -> None:
    earlier_log = set_aside(log_file) if log_file is not None and not append else None
    start_log(log_file, append=append)
    if earlier_log is not None:
        notice(f"The log of an earlier run is kept as {earlier_log}")


def _train(
    file: str,
    document: Document[caffe_pb2.SolverParameter],
    snapshot: str,
    requests: SignalRequests,
    *,
    exact: bool,
    ranks: MpiRanks | None,
    views: Callable[[Solver], AbstractContextManager[object]],
    **options: Any,
) -> None:
    """Trains, on this process or as one of several ranks.

    Args:
        file: the solver's. document: its settings. snapshot: to resume from; empty: none.
        requests: of signals. exact: whether to insist on resuming exactly. ranks: the ranks.
        views: what shows the training while it runs. options: further ones of `Solver`.
    """
    if snapshot == "latest" and (ranks is None or ranks.rank == 0):
        snapshot = str(_latest(document.message.snapshot_prefix))
    if ranks is not None:
        snapshot = ranks.agree(snapshot)
    with _named(file):
        runner = get_solver(document, action_request=requests.next_action, ranks=ranks, **options)
    check_layers(runner.net, file)
    if ranks is not None:
        _say_ranks(ranks, runner, options["split_batch"])
    if interactive():
        for line in _finetuning(runner):
            say(line)
    if snapshot:
        log.info("Resuming from %s", snapshot)
        runner.restore(snapshot, exact=exact)
    if runner.iter >= runner.param.max_iter:
        log.warning(
            "%s: max_iter is %d, iteration %d is done: nothing to train",
            *(file, runner.param.max_iter, runner.iter),
        )
    elif interactive():
        resumed = f", resumed from {snapshot}" if snapshot else ""
        say(f"Training {runner.net.name or 'a net'} from iteration {runner.iter}{resumed}")
    results = _LastResults(runner)
    log.info("Starting Optimization")
    with views(runner), _named(file), requests.handled(), watch(runner, requests):
        runner.solve()
    log.info("Optimization Done.")
    for line in results.at_end():
        echo(line)
    if requests.terminated:
        log.info("Stopped by SIGTERM.")
        click.get_current_context().exit(_TERMINATED)


def _say_ranks(ranks: MpiRanks, solver: Solver, is_split: bool) -> None:
    size = images_of_rank(solver)
    whole = "the prototxt's batch is split" if is_split else "each runs the prototxt's batch"
    say_ranks(ranks, f"{whole}: {size * ranks.count} records in an iteration, {size} on each rank")


def _no_views(runner: Solver) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _views(
    dashboard: int | None,
    tensorboard: Path | None,
    timeline: Path | None,
    log_file: Path | None,
    runner: Solver,
) -> Iterator[None]:
    """Shows a training on a page, in event files and in a timeline, where that is asked for."""
    with (
        page_of(runner, dashboard, log_file) if dashboard is not None else nullcontext(),
        EventWriter(runner, tensorboard) if tensorboard is not None else nullcontext(),
        _traced(runner, timeline) if timeline is not None else nullcontext(),
    ):
        yield


@contextmanager
def _traced(solver: Solver, path: Path) -> Iterator[None]:
    """Writes the trace of an iteration into a file, as soon as there is one."""

    def write(stretches: list[Stretch]) -> None:
        try:
            write_trace(path, stretches, solver.net.name or "net")
        except PycaffeError as error:
            log.warning("%s; the training goes on without a timeline", error)
        else:
            notice(f"The timeline of iteration {solver.iter - 1} is in {path}")

    if not path.absolute().parent.is_dir():
        raise FileLookupError(f"cannot write '{path}': its folder is not there")
    tracer = IterationTracer(solver, write)
    try:
        yield
    finally:
        tracer.close()
    if not tracer.is_done:
        log.warning(
            "%s is not written: more than %d iterations without a test are needed", path, ITERATIONS_BEFORE
        )


def _finetuning(solver: Solver) -> Iterator[str]:
    """What became of the weights to fine-tune, in lines for a terminal."""
    for file in solver.finetuned:
        yield f"Weights from {file.source}: {_names(file.layers) or 'no layer of the net is in it'}"
        if file.ignored:
            yield f"  ignored, as the net has no such layers: {_names(file.ignored)}"
    if fresh := fresh_in_all(solver.finetuned):
        yield f"  in no file, so they start afresh: {_names(fresh)}"


def _names(names: Sequence[str]) -> str:
    """Names in a row, not more than a screen can hold."""
    more = len(names) - _MOST_NAMES
    return ", ".join([*names[:_MOST_NAMES], *([f"and {more} more"] if more > 0 else [])])


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Puts the solver's file before what is wrong with its settings, unless file and line are there."""
    try:
        yield
    except SolverError as error:
        if str(error).startswith(f"{Path(file)}:"):
            raise
        raise type(error)(f"{file}: {error}") from None


class _LastResults:
    """The results of a solver's latest test of each net, and when they were."""

    def __init__(self, solver: Solver) -> None:
        self._solver = solver
        self._tests: dict[int, tuple[int, Scores]] = {}
        solver.after_test.append(self._note)

    def _note(self, index: int, scores: Scores) -> None:
        self._tests[index] = (self._solver.iter, scores)

    def at_end(self) -> list[str]:
        """Results of tests with the weights as they are now, in lines; earlier ones would mislead."""
        return [
            line
            for iteration, scores in self._tests.values()
            if iteration == self._solver.iter
            for line in scores.lines()
        ]


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
